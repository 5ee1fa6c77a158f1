"""Batch norms folded into the layers before them: the same function, or nothing is folded."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.models.architectures import ARCHITECTURES
from advcli.models.folding import fold


@pytest.fixture
def probe():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def settle(network):
    """Give batch norms statistics as a training leaves them, and freeze."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            if module.affine:
                module.weight.data.uniform_(0.5, 2, generator=generator)
                module.bias.data.normal_(generator=generator)
    return network.eval().requires_grad_(requires_grad=False)


def assert_same_function(network, folded, probe):
    expected = network(probe)
    assert (folded(probe) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_folded_network_is_the_same_function(probe):
    network = settle(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 3, groups=2), nn.BatchNorm2d(4, affine=False), nn.ReLU(),
            nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2),
        )
    )  # fmt: skip
    folded, count = fold(network, probe)
    assert count == 3
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in folded.modules())
    assert not any(module.training for module in folded.modules())
    assert_same_function(network, folded, probe)
    assert [name for name, _ in folded.named_modules()] == [name for name, _ in network.named_modules()]


def test_a_trained_network_folds(trained):
    assert trained.classifier.folded == trained.exact.folded == 3
    expected = trained.network(trained.images)
    assert (trained.classifier.logits(trained.images) - expected).abs().max() <= 1e-5 * expected.abs().max()
    exact = trained.exact_network(trained.images)
    assert (trained.exact.logits(trained.images) - exact).abs().max() <= 1e-6 * exact.abs().max()


def test_the_built_in_architecture_folds_wholly():
    network = settle(ARCHITECTURES["cifar-resnet20"].build(10))
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    folded, count = fold(network, pixels)
    assert count == 19
    assert_same_function(network, folded, pixels)


def test_the_network_itself_stays_as_it_was(probe):
    network = settle(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    modules, state = list(network.modules()), copy.deepcopy(network.state_dict())
    folded, count = fold(network, probe)
    assert count == 1
    assert folded is not network
    assert list(network.modules()) == modules
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


class Wired(nn.Module):
    """A convolution and its norm in a wiring of their own."""

    def __init__(self, wire, layer=None, norm=None):
        super().__init__()
        self.layer, self.norm = layer or nn.Conv2d(3, 4, 3), norm or nn.BatchNorm2d(4)
        self.wire = wire

    def forward(self, x):
        return self.wire(self, x).mean((2, 3)) if not isinstance(self.norm, nn.BatchNorm1d) else self.wire(self, x)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(lambda m, x: m.norm(m.layer(x)) + m.layer(x), id="the layer is used twice"),
        pytest.param(lambda m, x: (y := m.layer(x), m.norm(y) + y)[1], id="another reads the layer"),
        pytest.param(lambda m, x: m.norm(m.norm(m.layer(x))), id="the norm is used twice"),
        pytest.param(lambda m, x: m.norm(m.layer(x).relu()), id="something lies between"),
        pytest.param(lambda m, x: m.norm(m.layer(x)) * m.layer.weight.sum(), id="another reads the weights"),
        pytest.param(lambda m, x: m.norm(m.layer(x)) if x.sum() > 1e9 else m.layer(x), id="it cannot be traced"),
    ],
)
def test_what_cannot_be_folded_is_left_alone(wire, probe):
    network = settle(Wired(wire))
    folded, count = fold(network, probe)
    assert folded is network
    assert count == 0


def tokens(m, x):
    return m.norm(m.layer(x.flatten(2).movedim(1, 2)[:, :5])).mean(2)


@pytest.mark.parametrize("features", [4, 5])
def test_a_norm_over_tokens_is_left_alone(features, probe):
    network = settle(Wired(tokens, nn.Linear(3, features), nn.BatchNorm1d(5)))
    assert fold(network, probe) == (network, 0)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")  # it is what old networks have
@pytest.mark.parametrize("dress", [nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_a_layer_whose_weights_are_computed_is_left_alone(dress, probe):
    network = settle(Wired(lambda m, x: m.norm(m.layer(x)), layer=dress(nn.Conv2d(3, 4, 3))))
    before = network(probe)
    assert fold(network, probe) == (network, 0)
    assert torch.equal(network(probe), before)


def test_one_layer_under_two_names_is_left_alone(probe):
    network = Wired(lambda m, x: m.norm(m.twin(x)))
    network.twin = network.layer
    assert fold(settle(network), probe)[1] == 0


def test_norms_without_statistics_and_without_layers_stay(probe):
    network = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()
    ).eval()
    assert fold(network, probe) == (network, 0)


def test_functional_networks_fold(probe):
    network = settle(Wired(lambda m, x: F.relu(m.norm(m.layer(x)))))
    folded, count = fold(network, probe)
    assert count == 1
    assert_same_function(network, folded, probe)
