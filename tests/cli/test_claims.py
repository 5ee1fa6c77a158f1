"""The script of examples that tests claims on a folder: its commands are understood."""

import shlex
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "claims.sh"


def commands():
    """Words of each command of the program in the script, as the shell would see them but for its variables."""
    lines = SCRIPT.read_text().replace("\\\n", " ").splitlines()
    return [shlex.split(line.partition(">")[0])[1:] for line in lines if line.startswith("advcli ")]


def test_the_script_is_one_for_bash():
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    assert [words[words.index("--out") + 1] for words in commands()] == [
        f"$out/{name}" for name in ("targets", "noise", "softmax", "detect")
    ]


@pytest.mark.parametrize("words", commands(), ids=lambda words: words[0])
def test_every_command_of_the_script_is_understood(main, photos, tmp_path, words):
    told = {"$folder": [str(photos)], "$@": ["--limit", "2", "--dry-run"]}
    asked = [one.replace("$out", str(tmp_path)) for word in words for one in told.get(word, [word])]
    done = main(*asked)
    assert done.code == 0, done.err
