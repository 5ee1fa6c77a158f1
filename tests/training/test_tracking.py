"""Figures about weights against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from advcli.training.tracking import histograms, parameter_table


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 5))


def rows(network, initial=None):
    return {(row["layer"], row["kind"]): row for row in parameter_table(network, initial)}


def test_every_layer_and_the_whole_network_are_there(network):
    expected = [("0", "weight"), ("1", "weight"), ("1", "bias"), ("3", "weight"), ("3", "bias")]
    expected += [("network", "weight"), ("network", "bias")]
    assert [(row["layer"], row["kind"]) for row in parameter_table(network)] == expected
    assert [(one.layer, one.kind) for one in histograms(network)] == expected


def test_moments_are_those_of_scipy(network):
    values = network[3].weight.detach().double().numpy().ravel()
    row = rows(network)["3", "weight"]
    assert row["count"] == 160
    assert row["mean"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std())
    assert row["skewness"] == pytest.approx(stats.skew(values))
    assert row["kurtosis"] == pytest.approx(stats.kurtosis(values))
    assert row["l2"] == pytest.approx(np.linalg.norm(values))


def test_values_that_are_all_the_same_have_no_shape(network):
    row = rows(network)["1", "weight"]
    assert (row["mean"], row["std"], row["skewness"], row["kurtosis"]) == (1, 0, None, None)
    assert row["spectral_norm"] is None


def test_the_stable_rank_lies_between_one_and_the_rank(network):
    with torch.no_grad():
        network[0].weight.copy_(torch.arange(1.0, 9).view(8, 1, 1, 1) * torch.ones(8, 3, 3, 3))  # rank one
    found = rows(network)
    assert found["0", "weight"]["stable_rank"] == pytest.approx(1)
    assert 1 < found["3", "weight"]["stable_rank"] <= 5
    norm = np.linalg.norm(network[3].weight.detach().numpy(), 2)
    assert found["3", "weight"]["spectral_norm"] == pytest.approx(norm, rel=1e-5)


def test_the_distance_is_from_the_initial_weights(network):
    initial = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network[3].bias.add_(torch.tensor([3.0, 0, 4, 0, 0]))
    found = rows(network, initial)
    assert found["3", "bias"]["distance"] == pytest.approx(5)
    assert found["network", "bias"]["distance"] == pytest.approx(5)
    assert found["0", "weight"]["distance"] == 0
    assert rows(network)["0", "weight"]["distance"] is None


def test_histograms_count_every_value_once(network):
    for one in histograms(network, bins=20):
        assert len(one.counts) == 20
        assert len(one.edges) == 21
    counted = {(one.layer, one.kind): one.counts.sum() for one in histograms(network)}
    assert counted["network", "weight"] == 216 + 8 + 160
    assert counted["3", "bias"] == 5
