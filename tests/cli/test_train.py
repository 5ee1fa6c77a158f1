"""advcli train through the real entry point."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for level, name in ((0, "dark"), (150, "light")):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for place in range(6):
                pixels = rng.integers(level, level + 100, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / part / name / f"{place}.png")
    return tmp_path / "data"


def test_its_model_is_one_that_the_other_commands_take(main, folder, out):
    done = main("train", "--data", folder, "--epochs", 2, "--augment", "flip,cutout=8", "--out", out, "--json")
    assert done.code == 0, done.err
    report = done.json()
    assert report["summary"]["cases"][0]["model"] == "model.safetensors"
    assert report["settings"]["augment"] == ["flip", "cutout=8"]
    assert report["environment"]["precision"] == "bf16"
    asked = main("explain", folder / "test", "--model", out / "model.safetensors", "--out", out / "maps", "--json")
    assert asked.code == 0, asked.err
    assert asked.json()["models"][0]["classes"] == ["dark", "light"]


def test_it_prints_a_row_per_epoch_and_goes_on_with_nothing_to_do(main, folder, out):
    done = main("train", "--data", folder, "--epochs", 2, "--out", out)
    assert "epoch-0002" in done.out
    assert "2 epochs" in done.out
    again = main("train", "--data", folder, "--epochs", 2, "--out", out, "--jsonl")
    assert "2 of 2 results were done before" in again.err
    assert [json.loads(line)["epoch"] for line in again.out.splitlines()] == [1, 2]


def test_a_dry_run_says_what_would_be_done(main, folder, out):
    done = main("train", "--data", folder, "--epochs", 2, "--out", out, "--dry-run")
    assert done.code == 0
    assert "2 epochs in 1 case: 2 results, 0 done, 2 to do" in done.out
    assert not out.exists()


def test_a_bad_picture_is_named_and_ends_with_3(main, folder, out):
    (folder / "train" / "dark" / "0.png").write_bytes(b"x")
    done = main("train", "--data", folder, "--epochs", 1, "--out", out, "--json")
    assert done.code == 3
    assert "dark/0.png" in done.err
    assert done.json()["summary"]["errors"] == 1


def test_a_gate_holds_the_accuracy(main, folder, out):
    done = main("train", "--data", folder, "--epochs", 1, "--out", out, "--fail-under", "test_accuracy=1.1", "--json")
    assert done.code == 1
    assert "test_accuracy" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "give --data FOLDER"),
        (("--data", "missing"), 4, "is not a folder"),
        (("--arch", "resnet19"), 5, "did you mean resnet1"),
        (("--augment", "blur"), 2, "--augment 'blur'"),
        (("--rate", "-1"), 2, "--rate -1"),
        (("--std", "0,0,0"), 2, "--std (0.0, 0.0, 0.0)"),
        (("--recipe", "slow"), 2, "slow"),
    ],
)
def test_wrong_words_are_refused(main, folder, out, words, code, said):
    data = () if not words or words[0] == "--data" else ("--data", folder)
    done = main("train", *data, *words, "--out", out)
    assert done.code == code
    assert said in done.err
    assert not out.exists()
