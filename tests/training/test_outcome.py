"""What a training leaves behind: networks, tables and charts, and the options that decide about them."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from advcli.engine._esd_checkpoints import checkpoint_files
from advcli.engine._training_results import HISTORY
from advcli.engine.train import MODEL, TrainConfig, train
from advcli.errors import ModelError, UsageError
from advcli.models.loading import ModelRequest, load_network
from advcli.runs.command import RunConfig, Silence
from advcli.spectra.stopping import Cue
from advcli.training.objectives import Hardening, parse_inner
from advcli.training.recipes import Recipe
from advcli.training.spectral import reshaped_norm

RECIPE = Recipe(epochs=3, batch_size=16, rate=0.05, val=0.25)


class Heard(Silence):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def run(folder, out, recipe=RECIPE, heard=None, seed=0, **changes):
    config = RunConfig(out, device="cpu", listener=heard or Heard(), seed=seed)
    return train(config, TrainConfig(data=(folder,), recipe=recipe, **changes))


def table(out, name):
    with (out / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def outcome(folder, tmp_path_factory):
    """A training with spectral normalization, whose course is kept."""
    out = tmp_path_factory.mktemp("outcome") / "run"
    hardening = Hardening(spectral_norm="conv", attack=parse_inner("fast"))
    return out, run(folder, out, hardening=hardening, keep_every=2, track=True)


def test_an_interruption_changes_no_byte_of_a_hardened_training(outcome, folder, tmp_path, monkeypatch):
    for drawing in ("tracking_charts", "tracking_films", "layer_norms"):  # made from the files that are compared
        monkeypatch.setattr(f"advcli.engine._training_results.{drawing}", lambda *words: {})
    monkeypatch.setattr("advcli.engine._training_results.norms_chart", lambda *words: b"")

    class Stopped(Heard):
        def progress(self, share):
            self.warnings.append(share)
            if len(self.warnings) == 6:  # of four steps an epoch
                raise KeyboardInterrupt

    words = {"hardening": Hardening(spectral_norm="conv", attack=parse_inner("fast")), "keep_every": 2, "track": True}
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "run", heard=Stopped(), **words)
    run(folder, tmp_path / "run", **words)
    files = [path.relative_to(outcome[0]) for path in outcome[0].rglob("*") if path.is_file()]
    compared = [
        path for path in files if path.suffix in (".safetensors", ".csv", ".jsonl") or path.parts[0] == "tracking"
    ]
    assert len(compared) > 12
    for path in compared:
        if path.name not in (".seen.jsonl", "norms.csv"):
            assert (tmp_path / "run" / path).read_bytes() == (outcome[0] / path).read_bytes(), path


def test_the_settings_say_everything(outcome):
    settings = outcome[1].settings
    assert settings["attack"] == {"method": "fast", "norm": "linf", "eps": 8 / 255, "steps": 1}
    assert (settings["spectral_norm"], settings["noise"], settings["jacobian"]) == ("conv", 0.0, 0.0)
    assert (settings["val"], settings["keep_every"], settings["track"], settings["patience"]) == (0.25, 2, True, None)
    assert (settings["train_images"], settings["validation_images"], settings["test_images"]) == (72, 24, 32)


def test_the_split_keeps_the_classes_and_follows_the_seed(outcome):
    rows = table(outcome[0], "classes")
    assert [(row["class"], row["train"], row["validation"], row["test"]) for row in rows] == [
        ("above", "36", "12", "16"),
        ("below", "36", "12", "16"),
    ]


def test_the_files_hold_the_weights_that_the_network_computes_with(outcome):
    network, card = load_network(ModelRequest(name=str(outcome[0] / MODEL)))
    assert not any("parametriz" in name for name in network.state_dict())
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert max(reshaped_norm(module.weight) for module in convolutions) < 1.1
    assert [model.name for model in outcome[1].models] == ["model", "best"]
    assert outcome[1].models[0].classes == card.classes == ("above", "below")


def test_the_header_says_how_it_was_trained(outcome):
    with (outcome[0] / MODEL).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    told = json.loads(header["__metadata__"]["training"])
    assert (told["epoch"], told["spectral_norm"], told["seed"]) == (3, "conv", 0)
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])


def test_checkpoints_are_those_that_esd_reads_in_their_order(outcome):
    files = checkpoint_files(outcome[0])
    assert [file.name for file in files] == [f"epoch-{number:04}.safetensors" for number in (0, 2, 3)]
    assert files[-1].read_bytes() == (outcome[0] / MODEL).read_bytes()


def test_the_last_record_names_the_networks(outcome):
    lines = [json.loads(line) for line in (outcome[0] / "records.jsonl").read_text().splitlines()]
    assert [sorted(line["files"]) for line in lines] == [[], ["checkpoint"], ["best", "checkpoint", "model"]]
    assert lines[2]["files"]["model"] == MODEL
    assert set(HISTORY) <= set(lines[0])


def test_norms_are_told_and_held(outcome):
    rows = table(outcome[0], "norms")
    held = [row for row in rows if row["normalized"] == "True"]
    assert len(held) == 19
    assert all(0.9 < float(row["estimate"]) < 1.1 for row in held)
    assert all(float(row["exact"]) >= float(row["estimate"]) - 1e-6 for row in rows)
    assert all(row["estimate_folded"] for row in held)


def test_the_distribution_of_weights_is_told_for_every_epoch(outcome):
    rows = table(outcome[0], "weights")
    assert sorted({row["epoch"] for row in rows}) == ["0", "1", "2", "3"]
    network = [row for row in rows if row["layer"] == "network" and row["kind"] == "weight"]
    distances = [float(row["distance"]) for row in network]
    assert distances[0] == 0
    assert distances == sorted(distances)
    told = json.loads((outcome[0] / "tracking" / "epoch-0003.json").read_text())
    assert sum(told["histograms"][0]["counts"]) == told["parameters"][0]["count"]
    with Image.open(outcome[0] / outcome[1].summary["films"]["weights"]) as film:
        assert film.n_frames == 4


def test_confusion_accuracy_and_balance_agree(outcome):
    confusion, classes = table(outcome[0], "confusion"), table(outcome[0], "classes")
    right = sum(int(row["images"]) for row in confusion if row["label"] == row["prediction"])
    assert sum(int(row["images"]) for row in confusion) == 32
    assert sum(int(row["right"]) for row in classes) == right
    assert right / 32 == pytest.approx(outcome[1].summary["test_accuracy"])
    expected = {"curves", "confusion-counts", "confusion-rates", "class-accuracy", "class-balance", "spectral-norms"}
    assert expected | {"weights", "biases"} <= set(outcome[1].figures)


def test_the_best_epoch_has_the_lowest_loss_under_attack(outcome):
    rows = table(outcome[0], "history")
    losses = [float(row["validation_robust_loss"]) for row in rows]
    assert outcome[1].summary["best_epoch"] == 1 + int(np.argmin(losses))
    assert outcome[1].summary["best_validation_accuracy"] is not None


def test_a_layer_that_is_not_there_is_refused_before_anything_is_trained(folder, tmp_path):
    with pytest.raises(UsageError, match="matches no layer"):
        run(folder, tmp_path / "run", hardening=Hardening(spectral_norm="layer9.*"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("hardening", [Hardening(noise=0.25), Hardening(jacobian=0.1)])
def test_other_hardening_is_recorded_and_changes_the_weights(small, tmp_path, hardening):
    recipe = Recipe(epochs=1, batch_size=8, rate=0.05, precision="fp32")
    plain, other = (
        run(small, tmp_path / name, recipe, hardening=one) for name, one in (("a", Hardening()), ("b", hardening))
    )
    assert other.settings["noise"] or other.settings["jacobian"]
    assert plain.models[0].fingerprint != other.models[0].fingerprint


def test_the_same_training_gives_the_same_bytes(small, tmp_path):
    recipe = Recipe(epochs=1, batch_size=8, rate=0.05)
    for name in ("a", "b"):
        run(small, tmp_path / name, recipe)
    assert (tmp_path / "a" / MODEL).read_bytes() == (tmp_path / "b" / MODEL).read_bytes()


def test_a_share_of_all_data_is_split_off_as_test_images(folder, tmp_path):
    recipe = Recipe(epochs=1, batch_size=48, val=1 / 8, test=1 / 4)
    settings = run(folder, tmp_path / "run", recipe).settings
    assert [settings[f"{part}_images"] for part in ("train", "validation", "test")] == [80, 16, 32]
    assert settings["images_sha256"] != []


def test_patience_goes_by_validation_images(folder):
    with pytest.raises(UsageError, match="--patience goes by validation images"):
        TrainConfig(data=(folder,), patience=2)


def test_it_stops_when_the_validation_loss_does_not_fall(small, tmp_path, monkeypatch):
    from advcli.training import loop

    losses = iter((0.9, 0.7, 0.8, 0.7, 0.6))
    monkeypatch.setattr(loop, "evaluate", lambda *words, **more: (next(losses), 0.5))
    heard, recipe = Heard(), Recipe(epochs=9, batch_size=6, rate=0.01, val=0.25)
    report = run(small, tmp_path / "run", recipe, heard, patience=2)
    assert (report.summary["epochs"], report.summary["best_epoch"], report.exit_code) == (4, 2, 0)
    assert report.summary["stopped_after"] == 4
    assert heard.warnings == [
        "stopped after epoch 4: the validation loss has not fallen below that of epoch 2 for 2 epochs"
    ]
    before = (tmp_path / "run" / MODEL).read_bytes()
    assert run(small, tmp_path / "run", recipe, patience=2).summary == report.summary
    assert (tmp_path / "run" / MODEL).read_bytes() == before


def test_a_loss_that_is_not_finite_is_said_with_its_epoch_and_keeps_what_was_good(small, tmp_path, monkeypatch):
    from advcli.training import loop

    measured = []

    def evaluate(*words, **more):
        measured.append(1)
        return (float("nan"), 0.0) if len(measured) > 1 else (0.5, 0.5)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    with pytest.raises(ModelError, match="not finite in epoch 2"):
        run(small, tmp_path / "run", Recipe(epochs=3, batch_size=6, val=0.25))
    network, _ = load_network(ModelRequest(name=str(tmp_path / "run" / "best.safetensors")))
    assert all(value.isfinite().all() for value in network.state_dict().values())
    lines = (tmp_path / "run" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1]


def test_it_stops_by_the_spectra_of_the_weights(small, tmp_path, monkeypatch):
    asked = []

    def cue(pool, request, epoch):
        assert load_network(ModelRequest(name=request.path))[1].classes == ("above", "below")
        asked.append(epoch)
        return Cue(epoch, 3.0 if epoch == 1 else 7.5, 0)

    monkeypatch.setattr("advcli.engine._training_files.cue_of_checkpoint", cue)
    recipe, heard = Recipe(epochs=9, batch_size=16, rate=0.01), Heard()
    report = run(small, tmp_path / "run", recipe, heard, stop_on="alpha")
    assert (asked, report.summary["epochs"]) == ([1, 2, 3, 4, 5, 6], 6)
    assert [row["alpha"] for row in table(tmp_path / "run", "history")] == ["3.0"] + 5 * ["7.5"]
    assert any("spectra" in text for text in heard.warnings)


@pytest.mark.slow
def test_the_spectra_are_those_of_the_weights(small, tmp_path):
    report = run(small, tmp_path / "run", Recipe(epochs=1, batch_size=16, rate=0.01), stop_on="alpha")
    assert float(table(tmp_path / "run", "history")[0]["alpha"]) > 1
    assert report.settings["stop_on"] == "alpha"
