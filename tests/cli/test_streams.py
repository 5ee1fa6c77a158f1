"""Data on standard output, talk on standard error, and commands that chain."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", ["attack", "saliency", "explain", "compare"])
def test_json_is_all_there_is_on_standard_output(main, photos, out, command):
    report = main(command, photos / "cat", "--limit", "2", "--json", "--out", out).json()
    assert report["command"] == command
    assert report["schema_version"] == 1
    assert report["summary"]["images"] == 2


@pytest.mark.parametrize("command", ["attack", "saliency", "explain", "compare"])
def test_jsonl_is_the_records_with_paths_that_can_be_opened(main, photos, out, command):
    lines = main(command, photos / "cat", "--limit", "2", "--jsonl", "--out", out).lines()
    assert [line["path"] for line in lines] == ["00.png", "01.png"]
    for line in lines:
        assert all(Path(path).exists() for path in line["files"].values())


def test_quiet_is_paths_only(main, photos, out):
    done = main("saliency", photos / "cat", "--limit", "1", "--quiet", "--out", out)
    assert {Path(path).name for path in done.out.splitlines()} == {
        "00.png.original.png",
        "00.png.saliency.png",
        "00.png.panel.png",
    }
    assert done.err == ""


def test_prints_of_libraries_do_not_reach_standard_output(advcli, photos, out, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import os, torch\n"
        "class Talker(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        print('python print'); os.write(1, b'write to descriptor 1\\n'); os.system('echo child')\n"
        "        return x.mean((2, 3))\n"
        "def talker():\n    print('loading'); return Talker()\n"
    )
    done = advcli(
        "saliency", photos / "cat", "--limit", "1", "--json", "--size", "32", "--model", f"{own}:talker", "--out", out
    )
    assert done.code == 0, done.err
    assert done.json()["command"] == "saliency"
    for words in ("python print", "write to descriptor 1", "child", "loading"):
        assert words in done.err


def test_a_table_for_people_says_what_happened_and_where_to_look(main, photos, out):
    done = main("attack", photos / "cat", "--out", out)
    assert "robust accuracy" in done.out
    assert "cat/" not in done.out
    assert f"look at {out / 'index.html'}" in done.out
    assert "\x1b" not in done.out


def test_attack_and_explain_chain_through_a_pipe(photos, tmp_path):
    pipe = (
        f"{sys.executable} -m advcli attack {photos / 'cat'} --limit 3 --jsonl --out first"
        f" | {sys.executable} -m advcli explain - --jsonl --out second"
    )
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    first = [json.loads(line) for line in (tmp_path / "first" / "records.jsonl").read_text().splitlines()]
    second = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(second) == 3, done.stderr
    for attacked, explained in zip(first, second, strict=True):
        assert explained["label"] == attacked["label"] == "cat"
        assert explained["prediction"] == attacked["adversarial_prediction"]


def test_a_closed_pipe_ends_the_run_quietly_with_141(photos, out):
    pipe = f"{sys.executable} -m advcli run schema attack | head -c 10 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 141)  # 0 where all of it fitted into the pipe before the reader left
    assert done.stderr == ""


def test_dry_run_says_what_would_be_done_and_writes_nothing(main, photos, out):
    done = main("attack", photos, "--dry-run", "--out", out)
    assert done.code == 0
    assert "24 images, 0 of them done, 24 to do" in done.out
    assert f"{out}/images/cat/00.png" in done.out
    assert not out.exists()


def test_the_model_may_come_from_the_environment(advcli, photos, out):
    done = advcli("saliency", photos, "--out", out, env={"ADVCLI_MODEL": "no-such-model"})
    assert done.code == 5
    assert "no-such-model" in done.err
