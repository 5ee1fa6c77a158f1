"""Bad input is met with one error, one hint and the right exit code, never with a traceback."""

import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from PIL import Image


def told(done, code, *words):
    """Assert one error line with these words, one hint, the exit code, and nothing on standard output."""
    assert done.code == code, done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    hints = [line for line in done.err.splitlines() if line.startswith("hint: ")]
    assert len(errors) == 1, done.err
    assert len(hints) == 1, done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--eps", "0"], ["--eps 0", "8/255"]),
        (["--eps", "-1"], ["--eps", "-1"]),
        (["--eps", "abc"], ["'abc'"]),
        (["--eps", "1/0"], ["'1/0'"]),
        (["--eps", "nan"], ["'nan'"]),
        (["--method", "pdg"], ["'pdg'", "pgd"]),
        (["--method", "pgd:stps=3"], ["'stps'", "steps"]),
        (["--method", "pgd:steps=0"], ["steps=0", "greater than or equal to 1"]),
        (["--method", "pgd:norm=l7"], ["norm=l7", "linf"]),
        (["--method", "pgd:steps=3,steps=4"], ["steps twice"]),
        (["--method", "pgd:steps=3", "--steps", "4"], ["--steps", "pgd:steps="]),
        (["--method", "pgd:steps=1e22"], ["steps=1e22"]),
        (["--step-size", "1e30"], ["step_size=1e30"]),
        (["--min-eps", "9/255"], ["--min-eps 9/255", "eps 8/255"]),
        (["--eps", "8"], ["8", "did you mean 8/255?"]),
        (["--eps", "4/255,4/255"], ["twice"]),
        (["--eps", "4/255", "--method", "pgd", "--method", "pgd:norm=l2"], ["eps=0.5"]),
        (["--batch-size", "99999999999999999999"], ["batch-size"]),
        (["--block", "1000000000"], ["block"]),
        (["--seed", "-1"], ["--seed -1"]),
        (["--size", "100000"], ["--size 100000", "GB"]),
        (["--std", "1e-300,1,1"], ["--std"]),
        (["--model", ""], ["--model ''"]),
        (["--labels", ""], ["--labels ''"]),
        (["--model", "resnet18", "--model", "resnet18"], ["twice"]),
        (["--method", "fgsm", "--steps", "3"], ["--steps"]),
        (["--method", "ascent", "--eps", "8/255"], ["--eps"]),
        (["--method", "gaussian-noise", "--target", "cat"], ["target"]),
        (["--target", "cta"], ["'cta'", "cat"]),
        (["--target", "rank:1"], ["'rank:1'", "rank:2"]),
        (["--target", "rank:11"], ["rank:11", "10 classes"]),
        (["--target", "nowhere.csv"], ["nowhere.csv", "path,class"]),
        (["--method", "autoattack", "--target", "cat"], ["autoattack", "any misclassification counts"]),
        (["--method", "fab", "--target", "second"], ["fab", "nearest of all boundaries", "fmn"]),
        (["--method", "pgd:restarts=1000000000"], ["restarts=1000000000"]),
        (["--method", "pgd:restarts=0"], ["restarts=0"]),
        (["--method", "pgd:norm=l2", "--eps", "1000"], ["1000", "l2 can reach"]),
        (["--method", "autoattack:samples=3"], ["samples=3", "version=rand"]),
        (["--eps-space", "normalized"], ["--eps-space", "--eps 0.03"]),
        (["--eps-space", "normalized", "--method", "autoattack", "--eps", "1"], ["autoattack in linf", "--method pgd"]),
        (["--time-budget", "0"], ["--time-budget 0"]),
        (["--surrogate", "resnet18"], ["--surrogate resnet18", "--method transfer"]),
        (["--target", "10"], ["'10'"]),
        (["--labels", "nowhere.csv"], ["nowhere.csv"]),
        (["--device", "abacus"], ["abacus"]),
        (["--precision", "fp8"], ["fp8"]),
        (["--mean", "1,2"], ["--mean"]),
        (["--nonsense"], ["--nonsense"]),
        (["--limit", "0"], ["--limit 0"]),
        (["--json", "--quiet"], ["--json"]),
        (["--fail-under", "robust_accuracy"], ["--fail-under"]),
        (["--fail-under", "robust=0.3"], ["--fail-under", "robust_accuracy"]),
    ],
)
def test_wrong_settings_exit_with_2(main, photos, out, arguments, words):
    told(main("attack", photos, "--out", out, *arguments), 2, *words)
    assert not (out / "records.jsonl").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("explain", ["--method", "gradcam"], ["'gradcam'", "grad-cam"]),
        ("explain", ["--layer", "layer9"], ["'layer9'", "model layers"]),
        ("explain", ["--method", "gradient", "--layer", "layer3"], ["--layer"]),
        ("explain", ["--score", "logits"], ["'logits'"]),
        ("explain", ["--class", "unicorn"], ["'unicorn'"]),
        ("saliency", ["--reduce", "mean"], ["'mean'"]),
        ("compare", ["--after", "later"], ["'later'"]),
        ("compare", ["--layer", "layer9"], ["'layer9'", "model layers"]),
        ("compare", ["--layer", "layer9", "--dry-run"], ["'layer9'", "model layers"]),
        ("train", [], ["--data"]),
        ("train", ["--data", "nowhere"], ["nowhere"]),
    ],
)
def test_wrong_words_are_answered_with_the_right_ones(main, out, command, arguments, words):
    done = main(command, *arguments, "--out", out)
    told(done, 4 if "nowhere" in arguments else 2, *words)


def test_an_unknown_model_exits_with_5_and_names_close_ones(main, photos, out):
    told(main("attack", photos, "--model", "resnet81", "--out", out), 5, "resnet81", "resnet")


def test_a_model_file_that_could_run_code_is_refused_and_does_not_run(main, photos, out, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = tmp_path / "model.pt"
    torch.save(Payload(), path)
    done = main("attack", photos, "--model", path, "--arch", "cifar-resnet20", "--out", out)
    told(done, 5, "--trust-model")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Payload()))
    assert main("attack", photos, "--model", tmp_path / "plain.pt", "--out", out).code == 5
    assert not (tmp_path / "ran").exists()


def test_a_truncated_model_file_exits_with_5(main, photos, out, tmp_path):
    from advcli.models import zoo

    path = tmp_path / "cut.safetensors"
    path.write_bytes(zoo.weights("cifar10-resnet20").read_bytes()[:5000])
    told(main("attack", photos, "--model", path, "--out", out), 5, "cut.safetensors")


def test_an_empty_folder_exits_with_4(main, tmp_path, out):
    (tmp_path / "empty").mkdir()
    told(main("attack", tmp_path / "empty", "--out", out), 4, "empty")
    assert not out.exists()


def test_a_missing_file_exits_with_4(main, tmp_path, out):
    told(main("attack", tmp_path / "nothing.png", "--out", out), 4, "nothing.png")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where even root cannot write")
def test_an_unwritable_folder_exits_with_2(main, photos):
    told(main("attack", photos, "--out", "/proc/advcli"), 2, "cannot write to /proc/advcli")


def test_a_file_in_the_place_of_the_folder_exits_with_2(main, photos, tmp_path):
    (tmp_path / "file").write_text("mine")
    told(main("attack", photos, "--out", tmp_path / "file"), 2, "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_folder_that_is_no_run_of_ours_is_left_alone(main, photos, tmp_path, overwrite):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "thesis.txt").write_text("precious")
    told(main("attack", photos, "--out", tmp_path, *overwrite), 2, "holds no run")
    assert (tmp_path / "images" / "thesis.txt").read_text() == "precious"


def test_broken_files_become_records_and_the_rest_is_done(main, photos, out, tmp_path):
    folder = tmp_path / "mixed" / "cat"
    folder.mkdir(parents=True)
    good = (photos / "cat" / "00.png").read_bytes()
    (folder / "good.png").write_bytes(good)
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "text.jpg").write_text("this is not a picture")
    Image.new("1", (20000, 20000)).save(folder / "bomb.png")
    done = main("attack", folder.parent, "--out", out, "--json")
    assert done.code == 3
    assert done.json()["summary"]["errors"] == 4
    assert done.json()["summary"]["images"] == 5
    assert "error: cat/" in done.err
    assert "Traceback" not in done.err
    lines = {line["item"]: line for line in map(json.loads, (out / "records.jsonl").read_text().splitlines())}
    assert {path: line["status"] for path, line in lines.items()} == {
        "cat/good.png": "ok",
        "cat/empty.png": "error",
        "cat/cut.png": "error",
        "cat/text.jpg": "error",
        "cat/bomb.png": "error",
    }
    assert "0 bytes" in lines["cat/empty.png"]["error"]
    (folder / "cut.png").write_bytes(good)
    assert main("attack", folder.parent, "--out", out, "--json").json()["summary"]["errors"] == 3


def test_a_gate_that_is_not_met_exits_with_1_and_names_figure_interval_and_bound(main, photos, out):
    done = main("attack", photos / "cat", "--out", out, "--fail-under", "robust_accuracy=0.5", "--json")
    assert done.code == 1
    assert re.search(r"error: robust_accuracy 0 \[0, 0\.\d+\] is under 0\.5 \(--fail-under\)", done.err)
    assert main("attack", photos / "cat", "--out", out, "--fail-over", "robust_accuracy=0.5", "--json").code == 0


def test_a_gate_is_read_before_the_model(main, photos, out):
    done = main("attack", photos, "--model", "no-such-model", "--fail-under", "robust=0.3", "--out", out)
    told(done, 2, "no figure 'robust'", "robust_accuracy")


def test_our_own_fault_exits_with_70_and_shows_its_traceback_only_when_asked(main, photos, out, monkeypatch):
    import advcli.runs.life as life

    def broken(*_):
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr(life, "first_report", broken)
    done = main("attack", photos, "--out", out)
    told(done, 70, "ZeroDivisionError: of our own", "--debug")
    assert "Traceback" in main("attack", photos, "--out", out, "--debug").err


def test_nothing_is_written_outside_the_folder(advcli, photos, tmp_path):
    before = set(photos.rglob("*"))
    done = advcli("attack", photos / "cat", "--out", "here", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert done.code == 0, done.err
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert set(photos.rglob("*")) == before
    assert not [path for path in Path(tmp_path, "here").rglob("*") if ".tmp" in path.name]


def test_a_run_in_which_nothing_can_be_used_still_ends_in_a_report(main, out, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.jpg").write_text("this is not a picture")
    for command in ("attack", "explain", "compare"):
        done = main(command, tmp_path / "bad", "--json", "--out", out / command)
        assert done.code == 3
        assert done.json()["summary"]["images"] == done.json()["summary"]["errors"] == 1
        assert (out / command / "index.html").exists()


def test_a_refused_command_leaves_no_folder(main, photos, out):
    assert main("attack", photos, "--target", "unicorn", "--out", out).code == 2
    assert not out.exists()


def test_a_file_name_that_is_no_utf8_is_a_name_like_any_other(main, photos, out, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes((photos / "cat" / "00.png").read_bytes())
    done = main("saliency", path, "--jsonl", "--out", out)
    assert done.code == 0, done.err
    assert all(Path(file).exists() for file in done.lines()[0]["files"].values())


def test_a_folder_of_results_is_not_attacked_into_itself(main, photos, out):
    main("attack", photos / "cat", "--out", out)
    told(main("attack", out, "--out", out), 4, "where the results go")


def test_results_inside_the_folder_of_images_are_no_images(main, photos, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "one.png").write_bytes((photos / "cat" / "00.png").read_bytes())
    for _ in range(2):
        done = main("saliency", folder, "--json", "--out", folder / "results")
        assert done.json()["summary"]["images"] == 1


def test_two_names_that_read_alike_are_two_records(main, photos, out, tmp_path):
    folder = tmp_path / "alike"
    folder.mkdir()
    for name in (os.fsdecode(b"caf\xe9.png"), r"caf\udce9.png"):
        (folder / name).write_bytes((photos / "cat" / "00.png").read_bytes())
    done = main("saliency", folder, "--jsonl", "--out", out)
    assert done.code == 0, done.err
    assert len({line["item"] for line in done.lines()}) == 2
