"""Networks of torchvision and timm, without a network to download from."""

import sys
import urllib.error

import pytest
import torch

from advcli.errors import ModelError, UsageError
from advcli.models.card import Preprocessing
from advcli.models.loading.catalog import list_models

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Torch's cache is empty, and nothing can be downloaded."""

    def fail(url, *args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    return tmp_path / "cache" / "hub" / "checkpoints"


def test_torchvision_weights_bring_their_classes_and_preprocessing(offline, load, same_weights):
    from torchvision import models

    written = models.squeezenet1_1(weights=None)
    offline.mkdir(parents=True)
    torch.save(written.state_dict(), offline / "squeezenet1_1-b8a52dc0.pth")
    for name in ("squeezenet1_1", "torchvision:squeezenet1_1"):
        network, card = load(name)
        assert same_weights(network, written)
        assert card.architecture == "torchvision:squeezenet1_1"
        assert card.source == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
        assert (len(card.classes), card.classes[0], card.classes_known) == (1000, "tench", True)
        assert card.preprocessing == Preprocessing((224, 224), 256, "bilinear", **IMAGENET)
        assert card.notes == ()


@pytest.mark.parametrize("weights", [None, "IMAGENET1K_V1", "SqueezeNet1_1_Weights.DEFAULT"])
def test_a_download_that_fails_names_the_built_in_network_and_the_file(offline, weights, refused):
    error = refused(ModelError, "squeezenet1_1", weights=weights)
    assert "cannot download the weights of squeezenet1_1 from https://" in error.message
    assert "Name or service not known" in error.message
    assert "--model cifar10-resnet20" in error.hint
    assert str(offline / "squeezenet1_1-b8a52dc0.pth") in error.hint


def test_a_damaged_download_is_a_model_error(offline, refused):
    offline.mkdir(parents=True)
    (offline / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"PK\x03\x04 and no more")
    refused(ModelError, "squeezenet1_1")


def test_random_weights_take_the_number_of_classes_from_the_names(tmp_path, load):
    (tmp_path / "names.txt").write_text("cat\ndog\ncow\n")
    _, card = load("squeezenet1_1", weights="none", classes=tmp_path / "names.txt")
    assert card.classes == ("cat", "dog", "cow")
    assert card.source == "random"
    assert len(load("cifar-resnet20", weights="none")[1].classes) == 10


def test_unknown_weights_are_answered_with_those_there_are(refused):
    error = refused(UsageError, "squeezenet1_1", weights="mine.pth")
    assert error.message == "squeezenet1_1 has no --weights mine.pth"
    assert error.hint.startswith("one of: IMAGENET1K_V1, none;")
    assert "--arch squeezenet1_1" in error.hint


def test_only_classification_networks_are_listed(refused):
    names = {(entry.name, entry.kind) for entry in list_models()}
    assert {("cifar-cnn8", "architecture"), ("resnet18", "torchvision"), ("vit_b_16", "torchvision")} <= names
    assert not any("rcnn" in name or "quantized" in name or "r3d" in name for name, _ in names)
    error = refused(ModelError, "torchvision:fasterrcnn_resnet50_fpn")
    assert "torchvision has no classification network 'fasterrcnn_resnet50_fpn'" in error.message


def test_a_folder_in_the_way_does_not_hide_a_name(tmp_path, monkeypatch, load):
    (tmp_path / "squeezenet1_1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("squeezenet1_1", weights="none")[1].architecture == "torchvision:squeezenet1_1"


def test_timm_is_asked_for_where_it_is_not_installed(monkeypatch, resnet20, refused):
    monkeypatch.setitem(sys.modules, "timm", None)  # makes the import fail
    for options in ({"name": "timm:resnet18"}, {"name": resnet20[1], "arch": "timm:resnet18"}):
        error = refused(ModelError, **options)
        assert error.message == "timm:resnet18 needs timm, which is not installed"
        assert error.hint == "pip install timm"


def test_timm_networks_load_with_random_weights_and_as_architectures(tmp_path, load, refused, same_weights):
    timm = pytest.importorskip("timm")
    network, card = load("timm:resnet10t", weights="none")
    assert (card.architecture, card.source, len(card.classes)) == ("timm:resnet10t", "random", 1000)
    written = timm.create_model("resnet10t", num_classes=5)
    torch.save(written.state_dict(), tmp_path / "net.pt")
    network, card = load(tmp_path / "net.pt", arch="timm:resnet10t")
    assert same_weights(network, written)
    assert card.preprocessing.size == (176, 176)
    assert "did you mean timm:resnet10t" in refused(ModelError, "timm:resnet10").hint
