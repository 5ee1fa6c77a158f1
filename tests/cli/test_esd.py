"""advcli esd through the real entry point."""

import json

import pytest
import torch
from torch import nn


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Linear(60, 70), nn.ReLU(), nn.Linear(70, 5)).state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_a_file_is_analyzed_without_an_architecture_and_only_data_is_on_standard_output(advcli, weights, out):
    done = advcli("esd", weights, "--out", out, "--jsonl")
    assert done.code == 0, done.err
    lines = done.lines()
    assert [(line["case"], line["eigenvalues"], line["reading"]) for line in lines][1] == ("2", 5, "insufficient")
    assert lines[0]["alpha"] > 0
    assert (out / lines[0]["files"]["esd"]).is_file()
    report = json.loads((out / "report.json").read_text())
    assert report["summary"]["layers"] == 2
    again = advcli("esd", weights, "--out", out)
    assert "reading" in again.out
    assert "2 of 2 results were done before" in again.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing.safetensors"], 5, "there is no file"),
        (["a", "b", "--watch"], 2, "--watch follows the folder of one training"),
        (["--film", "avi"], 2, "--film 'avi' is no format"),
        (["--film", "none", "--film", "gif"], 2, "--film none excludes"),
        (["x", "x"], 2, "x is given twice"),
    ],
)
def test_wrong_use_is_told_in_two_lines(main, out, arguments, code, words):
    done = main("esd", *arguments, "--out", out)
    assert done.code == code
    assert words in done.err
    assert "hint:" in done.err
    assert done.out == ""


def test_a_dry_run_says_what_would_be_done(main, weights, out):
    done = main("esd", weights, "--out", out, "--dry-run")
    assert done.code == 0
    assert "1 checkpoint in 2 cases: 2 results" in done.out
    assert not out.exists()


def test_a_training_is_followed_until_it_is_finished(main, tmp_path, monkeypatch):
    """Each look finds one more checkpoint; after the third the training says that it has ended."""
    folder = tmp_path / "training"
    (folder / "checkpoints").mkdir(parents=True)
    looks = []

    def next_epoch(_):
        looks.append(len(looks) + 1)
        torch.save({"fc.weight": torch.randn(20, 20)}, folder / "checkpoints" / f"epoch{looks[-1]}.pt")
        finished = '"2026-01-01"' if len(looks) == 3 else "null"
        (folder / "report.json").write_text(f'{{"finished": {finished}}}')

    monkeypatch.setattr("time.sleep", next_epoch)
    done = main("esd", folder, "--watch", "--out", tmp_path / "out", "--json", "--film", "none")
    assert done.code == 0, done.err
    assert done.json()["summary"]["checkpoints"] == 3
    assert len(looks) == 3
