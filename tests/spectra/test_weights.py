"""Layers of state dicts: named, told apart, parametrizations undone."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from advcli.errors import ModelError
from advcli.spectra.reading import read_shapes, read_weights
from advcli.spectra.weights import fingerprint_of, layers_of, listed_layers, plain_shapes, plain_state


def shapes(state):
    return {name: tuple(values.shape) for name, values in state.items()}


def test_every_matrix_is_a_layer_and_says_what_it_is(network):
    found = {layer.name: layer for layer in layers_of(network.state_dict())}
    assert {name: layer.kind for name, layer in found.items()} == {
        "conv": "conv2d", "grouped": "conv2d", "depthwise": "conv2d", "pointwise": "conv2d", "line": "conv1d",
        "hidden": "linear", "tied": "linear", "small": "linear",
    }  # fmt: skip
    assert {name: layer.obstacle for name, layer in found.items() if layer.obstacle} == {
        "line": "no-spectrum-of-conv1d", "small": "too-small",
    }  # fmt: skip
    assert found["tied"].tied == "hidden"
    assert [layer.number for layer in found.values()] == list(range(1, 9))
    assert found["conv"].eigenvalues == 27
    assert listed_layers(shapes(network.state_dict())) == list(found)


def test_parameters_without_a_plain_name_are_layers_too():
    attention = nn.MultiheadAttention(16, 4)
    assert [layer.name for layer in layers_of(attention.state_dict())] == ["in_proj_weight", "out_proj"]
    assert [layer.name for layer in layers_of({"weight": torch.ones(9, 9)})] == ["weight"]


@pytest.mark.parametrize("wrap", [parametrizations.spectral_norm, torch.nn.utils.spectral_norm])
def test_spectral_normalization_is_undone_to_the_weight_that_is_used(wrap):
    torch.manual_seed(0)
    layer = nn.Sequential(wrap(nn.Conv2d(3, 8, 3), n_power_iterations=20)).train()
    layer(torch.rand(1, 3, 8, 8))
    layer.eval()
    state = plain_state(layer.state_dict())
    assert set(state) == {"0.weight", "0.bias"}
    layer(torch.rand(1, 3, 8, 8))
    assert torch.allclose(state["0.weight"], layer[0].weight, atol=1e-6)
    assert plain_shapes(shapes(layer.state_dict())) == shapes(state)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, torch.nn.utils.weight_norm])
def test_weight_normalization_is_undone_too(wrap):
    layer = wrap(nn.Linear(6, 4))
    assert torch.allclose(plain_state(layer.state_dict())["weight"], layer.weight, atol=1e-6)


def test_the_fingerprint_is_of_the_values_and_not_of_their_order(network):
    state = network.state_dict()
    assert fingerprint_of(state) == fingerprint_of(dict(reversed(state.items())))
    assert fingerprint_of(state) != fingerprint_of({**state, "small.weight": state["small.weight"] + 1e-6})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value):
    with pytest.raises(ModelError, match=r"fc\.weight holds NaN or infinite"):
        layers_of({"fc.weight": torch.full((9, 9), value)})


def test_shapes_are_read_without_the_values(network, tmp_path):
    from safetensors.torch import save_file

    state = {name: values.clone() for name, values in network.state_dict().items()}
    torch.save({"model": state}, tmp_path / "a.pt")
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("a.pt", "a.safetensors", "old.pt"):
        assert read_shapes(tmp_path / name, trust=False) == shapes(state)
        assert shapes(read_weights(tmp_path / name, trust=False)) == shapes(state)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:-900])
    with pytest.raises(ModelError):
        read_shapes(tmp_path / "cut.pt", trust=False)
