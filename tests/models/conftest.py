"""What the tests of models share: a way to load, a way to be refused, networks to compare and to look at."""

import pytest
import torch

from advcli.models.architectures import ARCHITECTURES
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network


@pytest.fixture
def load():
    """Load a model by name and options: its network and card."""
    return lambda name, **options: load_network(ModelRequest(str(name), **options))


@pytest.fixture
def refused(load):
    """Load what is refused: the error, which is told in one line and has a hint of one line."""

    def refuse(expected, name, **options):
        with pytest.raises(expected) as caught:
            load(name, **options)
        assert "\n" not in caught.value.message + caught.value.hint
        assert caught.value.hint
        return caught.value

    return refuse


@pytest.fixture
def same_weights():
    """Compare two networks: the same names in the same order, and the same bits."""

    def same(first, second):
        first, second = first.state_dict(), second.state_dict()
        return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)

    return same


@pytest.fixture
def resnet20(tmp_path):
    """A network of ours and the path of its state dict."""
    network = ARCHITECTURES["cifar-resnet20"].build(10)
    torch.save(network.state_dict(), tmp_path / "resnet20.pt")
    return network, tmp_path / "resnet20.pt"


@pytest.fixture(scope="module")
def cifar_classifier(make_card):
    """A ResNet-20 with random weights, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ARCHITECTURES["cifar-resnet20"].build(10)
    return Classifier(network, make_card(10, 32))
