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
    assert report["schema_version"] == 2
    assert report["summary"]["images"] == 2


@pytest.mark.parametrize("command", ["attack", "saliency", "explain", "compare"])
def test_jsonl_is_the_records_with_paths_that_can_be_opened(main, photos, out, command):
    lines = main(command, photos / "cat", "--limit", "2", "--jsonl", "--out", out).lines()
    assert list(dict.fromkeys(line["path"] for line in lines)) == ["00.png", "01.png"]
    for line in lines:
        assert all(Path(path).exists() for path in line["files"].values())


def test_quiet_is_paths_only(main, photos, out):
    done = main("saliency", photos / "cat", "--limit", "1", "--quiet", "--out", out)
    names = {Path(path).name for path in done.out.splitlines()}
    assert all(name.startswith("00.png.") for name in names)
    assert len(names) == len(done.out.splitlines())
    assert done.err == ""


@pytest.mark.parametrize("option", ["-q=adversarial", "--quiet=adversarial"])
def test_quiet_can_be_told_which_pictures(main, photos, out, option):
    done = main("attack", photos / "cat", "--method", "fgsm", "--method", "pgd", option, "--out", out)
    assert len(done.out.splitlines()) == 16
    assert all(path.endswith(".adversarial.png") and Path(path).exists() for path in done.out.splitlines())


def test_a_kind_of_pictures_that_the_run_does_not_have_is_named(main, photos, out):
    done = main("saliency", photos / "cat", "--limit", "1", "-q=adversarial", "--out", out)
    assert (done.code, done.out) == (2, "")
    assert "error: -q=adversarial: the run has no such pictures" in done.err
    assert "map" in done.err
    done = main("saliency", photos / "cat", "--limit", "1", "-q=map", "--out", out)
    assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert main("saliency", photos / "cat", "-q=", "--out", out).code == 2


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
    assert {"robust", "accuracy", "success"} <= set(done.out.split())  # a head may take several lines of a narrow table
    assert "cat/" not in done.out
    assert f"look at {out / 'index.html'}" in done.out
    assert "\x1b" not in done.out


def test_attack_and_explain_chain_through_a_pipe(photos, tmp_path):
    pipe = (
        f"{sys.executable} -m advcli attack {photos / 'cat'} --limit 3 --method pgd --method fgsm --jsonl --out first"
        f" | {sys.executable} -m advcli explain - --jsonl --out second"
    )
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    first = [json.loads(line) for line in (tmp_path / "first" / "records.jsonl").read_text().splitlines()]
    second = {line["item"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert len(second) == len(first) == 6, done.stderr
    for attacked in first:
        explained = second[f"{attacked['item']}.{attacked['case']}"]
        assert explained["label"] == attacked["label"] == "cat"
        assert explained["prediction"] == attacked["adversarial_prediction"]


def test_a_closed_pipe_ends_the_run_quietly_with_141(photos, out):
    pipe = f"{sys.executable} -m advcli run schema attack | head -c 10 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 141)  # 0 where all of it fitted into the pipe before the reader left
    assert done.stderr == ""


def test_dry_run_says_what_would_be_done_and_writes_nothing(main, photos, out):
    done = main("attack", photos, "--dry-run", "--eps", "2/255,8/255", "--target", "second", "--out", out)
    assert done.code == 0
    assert "24 images in 2 cases: 48 results, 0 done, 48 to do" in done.out
    for words in ("method: pgd", "target rule: second", "labels: auto", "would work on cat/00.png", "and 19 more"):
        assert words in done.out
    assert not out.exists()


def test_dry_run_refuses_what_the_run_would(main, photos, out):
    main("attack", photos / "cat", "--seed", "1", "--method", "fgsm", "--out", out)
    done = main("attack", photos / "cat", "--seed", "2", "--method", "fgsm", "--out", out, "--dry-run")
    assert done.code == 2
    assert "seed" in done.err


def test_the_model_may_come_from_the_environment(advcli, photos, out):
    done = advcli("saliency", photos, "--out", out, env={"ADVCLI_MODEL": "no-such-model"})
    assert done.code == 5
    assert "no-such-model" in done.err


def test_control_characters_are_shown_escaped(main, photos, out, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "red\x1b[31m.png").write_bytes((photos / "cat" / "00.png").read_bytes())
    (folder / "bad\x07.png").write_text("no picture")
    done = main("attack", folder, "--method", "fgsm", "--out", out)
    assert done.code == 3
    assert "\x1b" not in done.out + done.err
    assert "\x07" not in done.out + done.err
    assert "\\x1b[31m" in done.out
    assert "error: bad\\x07.png could not be used" in done.err


@pytest.mark.parametrize("width", ["80", "60"])
def test_no_line_of_the_tables_is_wider_than_the_terminal(main, photos, out, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    done = main("attack", photos / "cat", "--eps", "1/255,8/255", "--limit", "4", "--out", out)
    table = done.out[: done.out.index("look at")].splitlines()[:-1]
    assert max(map(len, table)) <= int(width)
    for words in ("pgd-1_255", "pgd-8_255", "robust", "accuracy"):
        assert words in done.out


def test_one_image_is_not_called_images(main, photos, out):
    done = main("attack", photos / "cat", "--limit", "1", "--method", "fgsm", "--out", out)
    assert "1 image in " in done.out


def test_what_is_misclassified_is_marked(main, photos, out, lines):
    done = main("attack", photos / "cat", "--out", out)
    wrong = sum(line["adversarial_prediction"] != "cat" for line in lines(out))
    wrong += sum(line["prediction"] != "cat" for line in lines(out))
    assert done.out.count("✗ ") == wrong + 1  # and once to say what it means


def test_paths_given_as_home_do_not_make_a_folder_called_so(advcli, photos, tmp_path):
    done = advcli(
        "attack", photos / "cat", "--limit", "1", "--out=~/x", cwd=tmp_path, env={"HOME": str(tmp_path / "home")}
    )
    assert done.code == 0, done.err
    assert (tmp_path / "home" / "x" / "report.json").exists()
    assert not (tmp_path / "~").exists()
