"""Training as a run: what it learns, that an interruption does not change it, and what it says of spoiled data."""

import json
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from advcli.engine.train import CHECKPOINT, MODEL, TrainConfig, train
from advcli.errors import ModelError, NoInputError, UsageError
from advcli.models.loading import ModelRequest, load_network
from advcli.runs.command import RunConfig, Silence
from advcli.training.recipes import Recipe

RECIPE = Recipe(epochs=3, batch_size=16, rate=0.05)


class Heard(Silence):
    """A listener that remembers, and interrupts where it is told to."""

    def __init__(self, stop=None):
        self.stop, self.records, self.shares, self.warnings = stop, [], [], []

    def progress(self, share):
        if self.stop is not None and len(self.shares) == self.stop:
            raise KeyboardInterrupt
        self.shares.append(share)

    def record(self, record):
        self.records.append(record)

    def warn(self, text):
        self.warnings.append(text)


def config(folder, recipe=RECIPE, **changes):
    return TrainConfig(data=(folder,), recipe=recipe, **changes)


def run_config(out, heard=None, **changes):
    return RunConfig(out, device="cpu", listener=heard or Heard(), **changes)


def weights(out):
    return load_network(ModelRequest(name=str(out / MODEL)))[0].state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def files(out):
    """What a run leaves behind and what must not depend on how it went."""
    tables = sorted(str(path.relative_to(out)) for path in (out / "tables").iterdir())
    names = ["records.jsonl", MODEL, "best.safetensors", *tables]
    return {name: (out / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out, heard = tmp_path_factory.mktemp("trained") / "run", Heard()
    return out, train(run_config(out, heard), config(folder)), heard


def test_it_learns_and_measures_on_the_test_folder(trained):
    summary = trained[1].summary
    assert summary["test_accuracy"] > 0.9
    assert summary["test_accuracy_low"] < summary["test_accuracy"] <= summary["test_accuracy_high"]
    assert (summary["epochs"], summary["errors"], summary["train_images"], summary["test_images"]) == (3, 0, 96, 32)
    assert trained[1].exit_code == 0


def test_every_epoch_is_a_record_without_times(trained):
    out, _, heard = trained
    lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [(line["item"], line["case"], line["epoch"]) for line in lines] == [
        (f"epoch-{number:04}", "cifar-resnet20", number) for number in (1, 2, 3)
    ]
    assert lines[0]["loss"] > lines[2]["loss"]
    assert not any("second" in name for name in lines[0])
    assert [record["item"] for record in heard.records] == [line["item"] for line in lines]
    assert (out / "tables" / "history.csv").read_text().splitlines()[0].startswith("epoch,loss,train_accuracy")


def test_progress_goes_on_within_an_epoch(trained):
    assert trained[2].shares == pytest.approx([step / 6 for _ in range(3) for step in range(1, 7)])


def test_the_file_it_writes_needs_no_further_words(trained):
    network, card = load_network(ModelRequest(name=str(trained[0] / MODEL)))
    assert card.classes == ("above", "below")
    assert card.architecture == "cifar-resnet20"
    assert card.preprocessing.size == (32, 32)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize("steps", [0, 5, 6, 9, 17])
def test_an_interrupted_training_ends_as_one_without_interruption(folder, trained, tmp_path, steps):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(run_config(out, Heard(stop=steps)), config(folder))
    assert not (out / MODEL).exists()
    heard = Heard()
    report = train(run_config(out, heard), config(folder))
    assert len(heard.shares) == 18 - steps // 6 * 6
    assert same(weights(trained[0]), weights(out))
    assert files(out) == files(trained[0])
    assert report.summary == trained[1].summary


def test_epochs_of_the_checkpoint_that_have_no_record_get_theirs_without_training(folder, trained, tmp_path):
    out = tmp_path / "run"
    train(run_config(out), config(folder))
    records = out / "records.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:1]))
    heard = Heard()
    train(run_config(out, heard), config(folder))
    assert heard.shares == []
    assert files(out) == files(trained[0])


def test_a_finished_training_may_be_asked_for_again(folder, trained):
    before, heard = weights(trained[0]), Heard()
    report = train(run_config(trained[0], heard), config(folder))
    assert heard.shares == []
    assert report.summary == trained[1].summary
    assert same(before, weights(trained[0]))


def test_a_model_that_was_removed_is_written_again_from_the_checkpoint(folder, trained):
    before = weights(trained[0])
    (trained[0] / MODEL).unlink()
    heard = Heard()
    train(run_config(trained[0], heard), config(folder))
    assert heard.shares == []
    assert same(before, weights(trained[0]))


def test_training_leaves_the_callers_random_state_alone(folder, tmp_path):
    before = torch.random.get_rng_state()
    train(run_config(tmp_path / "run"), config(folder, Recipe(epochs=1, batch_size=48)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_recipe_seed_or_data_is_another_run(folder, small, trained):
    out = trained[0]
    with pytest.raises(UsageError, match=r"rate 0\.05 there, 0\.1 now"):
        train(run_config(out), config(folder, Recipe(epochs=3, batch_size=16, rate=0.1)))
    with pytest.raises(UsageError, match="seed 0 there, 1 now"):
        train(run_config(out, seed=1), config(folder))
    with pytest.raises(UsageError, match="train_images 96 there, 16 now"):
        train(run_config(out), config(small))


def test_a_damaged_checkpoint_is_named(folder, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(run_config(out, Heard(stop=7)), config(folder))
    checkpoint = out / CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(UsageError, match="damaged"):
        train(run_config(out), config(folder))
    train(run_config(out, overwrite=True), config(folder, Recipe(epochs=1, batch_size=48)))


def test_a_bad_picture_is_named_and_the_rest_is_learned(small, tmp_path):
    (small / "train" / "above" / "000.png").write_bytes(b"no picture")
    heard = Heard()
    report = train(run_config(tmp_path / "run", heard), config(small, Recipe(epochs=1, batch_size=4)))
    assert report.exit_code == 3
    assert (report.summary["errors"], report.summary["train_images"]) == (1, 15)
    assert any("left out: " in text and "above/000.png" in text for text in heard.warnings)
    assert "above/000.png" in (tmp_path / "run" / "tables" / "unusable.csv").read_text()


def test_many_bad_pictures_are_counted(small, tmp_path):
    for place in range(6):
        (small / "train" / "above" / f"{place:03}.png").write_bytes(b"")
    heard = Heard()
    train(run_config(tmp_path / "run", heard), config(small, Recipe(epochs=1, batch_size=4)))
    assert len([text for text in heard.warnings if text.startswith("left out:")]) == 3
    assert any("3 more pictures" in text for text in heard.warnings)


def test_a_class_folder_without_a_picture_is_said(small, tmp_path):
    (small / "train" / "empty").mkdir()
    heard = Heard()
    report = train(run_config(tmp_path / "run", heard), config(small, Recipe(epochs=1, batch_size=4)))
    assert any("class empty holds no usable picture" in text for text in heard.warnings)
    assert report.settings["classes"] == ["above", "below"]
    assert report.exit_code == 0


def test_data_of_which_nothing_is_usable_is_refused(small, tmp_path):
    for path in small.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(UsageError, match="none of the 16 pictures can be used"):
        train(run_config(tmp_path / "run"), config(small))
    assert not (tmp_path / "run").exists()


def test_one_class_alone_is_refused(small, tmp_path):
    for path in (small / "train" / "below").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="one class 'above'"):
        train(run_config(tmp_path / "run"), config(small))


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    with pytest.raises(NoInputError, match="no class folders with pictures"):
        train(run_config(tmp_path / "run"), config(tmp_path / "data"))


def test_a_test_class_that_is_not_trained_is_refused(small, tmp_path):
    (tmp_path / "test" / "other").mkdir(parents=True)
    os.link(small / "train" / "above" / "000.png", tmp_path / "test" / "other" / "0.png")
    with pytest.raises(UsageError, match="'other' that is not one of above, below"):
        train(run_config(tmp_path / "run"), config(small, test=tmp_path / "test"))


def test_a_class_of_trains_is_a_class(tmp_path):
    for name in ("car", "train"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for place in range(4):
            pixels = np.full((32, 32, 3), 40 * place, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{place}.png")
    report = train(run_config(tmp_path / "run"), config(tmp_path / "data", Recipe(epochs=1, batch_size=4)))
    assert report.settings["classes"] == ["car", "train"]
    assert report.summary["test_accuracy"] is None


def test_an_architecture_that_nobody_knows_is_refused(folder, tmp_path):
    with pytest.raises(ModelError, match="resnet19"):
        train(run_config(tmp_path / "run"), config(folder, arch="resnet19"))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import advcli.engine._training_network as written
from advcli.engine.train import TrainConfig, train
from advcli.runs.command import RunConfig, Silence
from advcli.training.recipes import Recipe

torch.set_num_threads(1)
moment, data, out = sys.argv[1:]
left, save = {"step": 9, "record": 2, "checkpoint": 1, "best": 1, "model": 1, "none": 0}[moment], torch.save


def die(here):
    global left
    left -= here == moment
    if here == moment and not left:
        os.kill(os.getpid(), signal.SIGKILL)


class Deadly(Silence):
    def progress(self, share):
        die("step")

    def record(self, record):
        die("record")


def torn(state, file):
    file.write(b"half of it")
    file.flush()
    die("checkpoint")
    file.seek(0)
    save(state, file)


def half_written(path, network, card, more):
    path.with_name(path.name + ".part").write_bytes(b"half of it")
    die(path.name.split(".")[0])
    write(path, network, card, more)


torch.save = torn
write, written.write_model = written.write_model, half_written
recipe = Recipe(epochs=3, batch_size=16, rate=0.05)
train(RunConfig(Path(out), device="cpu", listener=Deadly()), TrainConfig((Path(data),), recipe=recipe))
"""


@pytest.mark.slow
def test_being_killed_again_and_again_changes_nothing(folder, trained, tmp_path):
    def call(word):
        words = [sys.executable, "-c", KILLED, word, str(folder), str(tmp_path / "run")]
        return subprocess.run(words, capture_output=True, timeout=300, check=False)

    for moment in ("step", "checkpoint", "best", "record", "model"):
        done = call(moment)
        assert done.returncode == -9, done.stderr.decode()
        assert not (tmp_path / "run" / MODEL).exists()
    done = call("none")
    assert done.returncode == 0, done.stderr.decode()
    assert files(tmp_path / "run") == files(trained[0])
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.suffix in (".tmp", ".part")]


def test_a_full_disk_is_said(folder, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(UsageError, match=r"(best\.safetensors|checkpoint\.pt): File too large"):
            train(run_config(tmp_path / "run"), config(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "run" / CHECKPOINT).exists()
