"""Weights and biases in numbers, held to numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats

from advcli.spectra.parameters import NETWORK, parameters_of, quantile, rebinned


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(30, 20, generator=generator) ** 3,
        "a.bias": torch.randn(30, generator=generator),
        "b.weight": torch.rand(10, 30, 3, 3, generator=generator),
        "n.weight": torch.ones(30),
        "n.running_mean": torch.rand(30),
        "n.num_batches_tracked": torch.tensor(3),
    }


def test_figures_are_those_of_scipy(state):
    found = {(row.layer, row.kind): row for row in parameters_of(state)}
    assert set(found) == {
        ("a", "weight"),
        ("b", "weight"),
        ("n", "weight"),
        (NETWORK, "weight"),
        ("a", "bias"),
        (NETWORK, "bias"),
    }
    everything = np.concatenate([values.double().numpy().ravel() for name, values in state.items() if "weight" in name])
    for key, values in (
        (("a", "weight"), state["a.weight"].double().numpy().ravel()),
        ((NETWORK, "weight"), everything),
    ):
        row = found[key]
        assert (row.count, row.low, row.high) == (len(values), values.min(), values.max())
        expected = [values.mean(), values.std(), stats.skew(values), stats.kurtosis(values), np.linalg.norm(values)]
        assert [row.mean, row.std, row.skewness, row.kurtosis, row.l2] == pytest.approx(expected, rel=1e-9)
        assert row.counts.sum() == len(values)
    near = np.abs(state["a.weight"].double().numpy()) < 0.01 * found["a", "weight"].std
    assert found["a", "weight"].near_zero == pytest.approx(near.mean())


def test_equal_values_have_no_shape(state):
    row = next(row for row in parameters_of(state) if row.layer == "n")
    assert (row.skewness, row.kurtosis, row.std) == (None, None, 0)
    assert rebinned(row, np.linspace(0, 2, 5)).tolist() == [0, 0, 30, 0]


def test_distances_are_from_the_first(state):
    moved = {name: values + 1 if values.is_floating_point() else values for name, values in state.items()}
    found = {(row.layer, row.kind): row.distance for row in parameters_of(moved, state)}
    assert found["a", "weight"] == pytest.approx(600**0.5, rel=1e-6)
    assert found[NETWORK, "weight"] == pytest.approx((600 + 2700 + 30) ** 0.5, rel=1e-6)
    assert all(row.distance == 0 for row in parameters_of(state, state))
    assert all(row.distance is None for row in parameters_of(state))


def test_histograms_keep_their_sum_on_any_axis(state):
    row = next(row for row in parameters_of(state) if row.layer == "b")
    edges = np.linspace(0.3, 0.7, 31)
    counts = rebinned(row, edges)
    assert counts.sum() == pytest.approx(row.count)
    values = state["b.weight"].double().numpy().ravel().clip(0.3, 0.7 - 1e-12)
    assert counts == pytest.approx(np.histogram(values, edges)[0], abs=5)
    assert quantile(row, 0.5) == pytest.approx(np.median(values), abs=2 * (row.high - row.low) / 2048)
