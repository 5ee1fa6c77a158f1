"""Fixtures of the command line: the real entry point, in a process of its own or in this one."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data


@dataclass(frozen=True)
class Finished:
    """What a call of ``advcli`` left behind."""

    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def advcli():
    """Call the installed program in a fresh process, as a shell would."""

    def call(*arguments, stdin=None, cwd=None, env=None, timeout=300):
        done = subprocess.run(
            [sys.executable, "-m", "advcli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, "ADVCLI_MODEL": "", **(env or {})} if env else None,
            timeout=timeout,
        )
        return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture(scope="session")
def forked():
    """Call the program in a process that is really ended, without the imports: see ``forking``."""
    program = Path(__file__).with_name("forking.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, program], stdin=pipe, stdout=pipe, env=environment, text=True) as process:

        def call(cwd, arguments, stdout="kept", stderr="kept", sent=0, after=0.0):
            words = {"arguments": list(map(str, arguments)), "cwd": str(cwd), "stdout": stdout, "stderr": stderr}
            process.stdin.write(json.dumps({**words, "signal": int(sent), "after": after}) + "\n")
            process.stdin.flush()
            return Finished(*json.loads(process.stdout.readline()))

        yield call


@pytest.fixture
def main(monkeypatch, capfd):
    """Call the entry point in this process, which spares the imports; exit code and streams are the real ones."""
    from advcli.cli.app import main as entry

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["advcli", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            entry()
        out, err = capfd.readouterr()
        return Finished(stop.value.code or 0, out, err)

    return call


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of class folders with small real pictures: cuttings of scikit-image's own photographs."""
    folder = tmp_path_factory.mktemp("photos")
    for name, picture in (("cat", data.chelsea()), ("dog", data.coffee()), ("ship", data.rocket())):
        (folder / name).mkdir()
        for place, pixels in enumerate(cuttings(picture, 8)):
            Image.fromarray(pixels).save(folder / name / f"{place:02}.png")
    return folder


def cuttings(picture, count):
    """Cut squares of falling size out of a photograph and shrink them to 32 x 32."""
    side = min(picture.shape[:2])
    for place in range(count):
        edge = side - place * side // (2 * count)
        top, left = (place * 7) % (picture.shape[0] - edge + 1), (place * 13) % (picture.shape[1] - edge + 1)
        square = Image.fromarray(picture[top : top + edge, left : left + edge])
        yield np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out"


@pytest.fixture(scope="session")
def lines():
    """The records of a run, in the order of the file."""

    def read(folder):
        return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]

    return read


@pytest.fixture(scope="session")
def records(lines):
    """The records of a run with one case, by item."""

    def read(folder):
        found = {line["item"]: line for line in lines(folder)}
        assert len(found) == len(lines(folder))
        return found

    return read
