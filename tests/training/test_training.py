"""Training: what it learns, and that an interruption does not change it."""

import numpy as np
import pytest
import torch
from PIL import Image

from advcli.engine.train import CHECKPOINT, MODEL, Lesson, train
from advcli.errors import UsageError
from advcli.models.loading import ModelRequest, load_network
from advcli.training.augmentation import crop_and_flip
from advcli.training.recipes import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes that a glance tells apart: bright above, bright below."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for part, count in (("train", 48), ("test", 16)):
        for name, rows in (("above", slice(0, 16)), ("below", slice(16, 32))):
            (root / part / name).mkdir(parents=True)
            for place in range(count):
                pixels = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
                pixels[rows] += 120
                Image.fromarray(pixels).save(root / part / name / f"{place:03}.png")
    return root


def lesson(folder, **changes):
    recipe = Recipe(epochs=3, batch_size=16, peak_rate=0.05)
    return Lesson(**{"data": (folder,), "recipe": recipe, "arch": "cifar-resnet20", **changes})


def weights(out):
    return load_network(ModelRequest(name=str(out / MODEL)))[0].state_dict()


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    return out, train(lesson(folder), out)


def test_it_learns_and_measures_on_the_test_folder(trained):
    assert trained[1].summary["test_accuracy"] > 0.9
    assert trained[1].inputs["train"] == 96
    assert trained[1].inputs["test"] == 32


def test_the_file_it_writes_needs_no_further_words(trained):
    network, card = load_network(ModelRequest(name=str(trained[0] / MODEL)))
    assert card.classes == ("above", "below")
    assert card.architecture == "cifar-resnet20"
    assert card.preprocessing.size == (32, 32)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_an_interrupted_training_ends_with_the_same_weights(folder, trained, tmp_path):
    def interrupt(epoch, _of):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(lesson(folder), tmp_path / "run", each_epoch=interrupt)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert not (tmp_path / "run" / MODEL).exists()
    heard = []
    train(lesson(folder), tmp_path / "run", each_epoch=lambda epoch, of: heard.append((epoch.epoch, of)))
    assert heard == [(3, 3)]
    unbroken, continued = weights(trained[0]), weights(tmp_path / "run")
    assert all(torch.equal(unbroken[name], continued[name]) for name in unbroken)


def test_a_finished_training_may_be_asked_for_again(folder, trained):
    before = weights(trained[0])
    heard = []
    report = train(lesson(folder), trained[0], each_epoch=lambda epoch, of: heard.append((epoch, of)))
    assert heard == []
    assert report.summary == trained[1].summary
    after = weights(trained[0])
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_leaves_the_callers_random_state_alone(folder, tmp_path):
    before = torch.random.get_rng_state()
    train(lesson(folder, recipe=Recipe(epochs=1, batch_size=48)), tmp_path / "run")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_recipe_is_another_run(folder, trained):
    with pytest.raises(UsageError, match="other settings"):
        train(lesson(folder, seed=1), trained[0])


def test_an_architecture_that_is_not_ours_is_refused(folder):
    with pytest.raises(UsageError, match="resnet18"):
        lesson(folder, arch="resnet18")


def test_rate_climbs_to_its_peak_and_falls_to_nothing():
    recipe = Recipe(peak_rate=0.4, warmup=0.2)
    assert recipe.rate(0) == 0
    assert recipe.rate(0.1) == pytest.approx(0.2)
    assert recipe.rate(0.2) == pytest.approx(0.4)
    assert recipe.rate(0.6) == pytest.approx(0.2)
    assert recipe.rate(1) == pytest.approx(0)


def test_crops_are_shifted_or_mirrored_copies_of_the_picture():
    image = torch.arange(1, 1 + 3 * 8 * 8, dtype=torch.uint8).view(1, 3, 8, 8)
    padded = torch.nn.functional.pad(image[0], (4, 4, 4, 4))
    windows = [padded[:, down : down + 8, right : right + 8] for down in range(9) for right in range(9)]
    known = {window.numpy().tobytes() for window in windows} | {window.flip(2).numpy().tobytes() for window in windows}
    drawn = crop_and_flip(image.expand(300, 3, 8, 8), torch.Generator().manual_seed(0))
    seen = {one.contiguous().numpy().tobytes() for one in drawn}
    assert seen <= known
    assert len(seen) > 100
