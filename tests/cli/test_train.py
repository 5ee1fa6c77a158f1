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
        (("--attack", "fgsm"), 2, "--attack 'fgsm'"),
        (("--attack", "pgd", "--noise", "0.1"), 2, "exclude one another"),
        (("--spectral-norm", "layer9"), 2, "matches no layer"),
        (("--noise", "much"), 2, "--noise 'much'"),
        (("--jacobian", "-1"), 2, "--jacobian -1"),
        (("--val", "1"), 2, "--val '1'"),
        (("--test", "1.5"), 2, "--test '1.5'"),
        (("--plateau", "2"), 2, "--plateau has no meaning"),
        (("--warmup", "0.1", "--schedule", "constant"), 2, "--warmup has no meaning"),
        (("--momentum", "0"), 2, "give --no-nesterov"),
        (("--download",), 2, "--download is for --data cifar10"),
        (("--patience", "2"), 2, "give --val"),
        (("--batch-size", "1", "--arch", "cifar-cnn8"), 2, "does not learn from one image"),
        (("--rate", "inf"), 2, "--rate inf"),
        (("--keep-every", "0"), 2, "--keep-every 0"),
        (("--pretrained",), 2, "no weights for cifar-resnet20"),
        (("--arch", "alexnet", "--size", "8"), 5, "does not take 8 x 8"),
    ],
)
def test_wrong_words_are_refused(main, folder, out, words, code, said):
    data = () if not words or words[0] == "--data" else ("--data", folder)
    done = main("train", *data, *words, "--out", out)
    assert done.code == code
    assert said in done.err
    assert not out.exists()


def test_quiet_prints_the_files_that_were_written(main, folder, out):
    words = ("train", "--data", folder, "--epochs", 1, "--keep-every", 1, "--out", out)
    done = main(*words, "-q")
    assert done.out.splitlines() == [
        str(out / name) for name in ("checkpoints/epoch-0001.safetensors", "model.safetensors", "best.safetensors")
    ]
    assert main(*words, "-q=model").out.splitlines() == [str(out / "model.safetensors")]


def test_an_array_file_is_learned_from_with_every_option_recorded(main, tmp_path, out):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 100, (24, 32, 32, 3), dtype=np.uint8), np.arange(24) % 2
    images[labels == 1] += 100
    np.savez(tmp_path / "data.npz", images=images, labels=labels, classes=["dark", "light"])
    words = ("--epochs", 1, "--batch-size", 6, "--val", "1/6", "--test", 0.25, "--warmup", 0.1, "--weight-decay", 0)
    words += ("--momentum", 0.5, "--no-nesterov", "--precision", "fp32", "--jacobian", 0.01, "--noise", "8/255")
    done = main("train", "--data", tmp_path / "data.npz", *words, "--out", out, "--json")
    assert done.code == 0, done.err
    settings = done.json()["settings"]
    assert [settings[f"{part}_images"] for part in ("train", "validation", "test")] == [14, 4, 6]
    told = ("batch_size", "warmup", "weight_decay", "momentum", "nesterov", "precision", "jacobian")
    assert [settings[name] for name in told] == [6, 0.1, 0, 0.5, False, "fp32", 0.01]
    assert settings["noise"] == 8 / 255
    assert done.json()["environment"]["processes"] == 1


def test_pretrained_weights_come_from_the_local_cache(main, folder, out, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from torchvision import models

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    words = ("train", "--data", folder, "--arch", "squeezenet1_1", "--pretrained", "--size", 32, "--epochs", 1)
    url = models.SqueezeNet1_1_Weights.DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    network = models.squeezenet1_1()
    torch.save(network.state_dict(), tmp_path / "checkpoints" / url.rpartition("/")[2])
    done = main(*words, "--rate", 1e-9, "--keep-every", 1, "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.json()["models"][0]["architecture"] == "torchvision:squeezenet1_1"
    assert done.json()["settings"]["mean"] == [0.485, 0.456, 0.406]
    from safetensors.torch import load_file

    begun = load_file(out / "checkpoints" / "epoch-0000.safetensors")
    assert torch.equal(begun["features.0.weight"], network.state_dict()["features.0.weight"])
    assert begun["classifier.1.weight"].shape[0] == 2
