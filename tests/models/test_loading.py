"""From what a user typed to a network and its card."""

import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from advcli.errors import ModelError, UsageError
from advcli.models import zoo
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card, Preprocessing
from advcli.models.loading import ModelRequest
from advcli.models.loading.catalog import Listed, list_models
from advcli.models.loading.checkpoints import write_model


@pytest.fixture
def ours(tmp_path):
    """A file that describes itself, its network and its card."""
    network = ARCHITECTURES["cifar-resnet20"].build(4)
    used = Preprocessing((32, 32), 40, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    card = Card("x", "cifar-resnet20", "train", ("cat", "dog", "cow", "hen"), used)
    write_model(tmp_path / "ours.safetensors", network, card)
    return network, card, tmp_path / "ours.safetensors"


def test_a_file_of_ours_needs_no_options(ours, load, same_weights):
    written, written_card, path = ours
    network, card = load(path)
    assert same_weights(network, written)
    assert not any(module.training for module in network.modules())
    assert card == replace(written_card, name=str(path), source=str(path))


def test_a_built_in_network_is_found_by_its_name(ours, monkeypatch, load, refused, same_weights):
    monkeypatch.setattr(zoo, "FOLDER", ours[2].parent)
    network, card = load("ours")
    assert same_weights(network, ours[0])
    assert (card.name, card.source, card.classes) == ("ours", "built-in", ("cat", "dog", "cow", "hen"))
    assert Listed("ours", "built-in") in list_models()
    assert refused(UsageError, "ours", arch="cifar-resnet20").message == "ours takes no --arch cifar-resnet20"
    assert refused(UsageError, "ours", weights="none").message == "ours takes no --weights none"


def test_options_go_before_the_header(ours, tmp_path, load):
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    options = {"classes": tmp_path / "names.txt", "mean": (0.5, 0.5, 0.5), "size": 64}
    _, card = load(ours[2], **options)
    assert card.classes == ("a", "b", "c", "d")
    assert card.preprocessing == Preprocessing((64, 64), 80, "bicubic", (0.5, 0.5, 0.5), (0.4, 0.5, 0.6))


def test_random_weights_are_the_same_in_every_call_and_the_random_state_stays(ours, load, same_weights):
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate()
    first, _ = load("squeezenet1_1", weights="none")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    torch.manual_seed(6)
    second, _ = load("squeezenet1_1", weights="none")
    assert same_weights(first, second)


def test_a_request_can_be_sent_to_a_worker():
    request = ModelRequest("net.pt", arch="cifar-resnet20", classes=Path("names.txt"), mean=(0.0, 0.0, 0.0))
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"std": (0.1, 0.0, 0.1)}, r"--std \(0.1, 0.0, 0.1\) is not positive"),
        ({"std": (0.1, -1.0, 0.1)}, "--std .* is not positive"),
        ({"mean": (float("nan"), 0.0, 0.0)}, "--mean .* is not finite"),
        ({"size": 0}, "--size 0 is not positive"),
    ],
)
def test_numbers_out_of_range_are_refused(option, reason):
    with pytest.raises(UsageError, match=reason):
        ModelRequest(**option)


def test_an_architecture_is_no_model(refused):
    assert "--model FILE --arch cifar-cnn8" in refused(UsageError, "cifar-cnn8").hint


def test_an_unknown_model_is_answered_with_the_closest_names(refused):
    error = refused(ModelError, "resnet81")
    assert error.message == "there is no model 'resnet81'"
    assert "resnet18" in error.hint
    assert "advcli model list" in error.hint
    assert error.exit_code == 5


@pytest.mark.parametrize("name", ["nowhere/net", "net.pt", "net.safetensors"])
def test_a_missing_file_is_named_and_not_taken_for_a_name(name, refused):
    assert refused(ModelError, name, arch="cifar-resnet20").message == f"there is no file {name}"


def test_a_folder_is_no_model(tmp_path, refused):
    assert "is a folder" in refused(ModelError, tmp_path).message
