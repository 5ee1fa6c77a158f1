"""How far evidence moves: closed forms, agreement with scipy, and what is left undefined."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass as reference_center
from scipy.stats import wasserstein_distance_nd

from advcli.core.similarities import MEASURES
from advcli.metrics.movement import center_of_mass, compare_maps, earth_mover, movement


def noise(seed, shape=(32, 32)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def spot(row, column, shape=(32, 32)):
    values = np.zeros(shape, dtype=np.float32)
    values[row, column] = 3.0
    return values


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (224, 224), (7, 9)])
def test_equal_maps_give_what_the_table_says(shape):
    alike = compare_maps(noise(0, shape), noise(0, shape))
    assert list(alike) == list(MEASURES)
    assert {name: value for name, value in alike.items() if value is not None} == {
        name: pytest.approx(MEASURES[name].same, abs=1e-9) for name, value in alike.items() if value is not None
    }


def test_movement_does_not_see_the_sign():
    assert movement(noise(0), -noise(0)) == {
        "top_k": 1, "top_tenth_iou": 1, "center_shift": 0, "earth_mover": 0,
    }  # fmt: skip


@pytest.mark.parametrize("constant", [0.0, 2.0, -1.0])
def test_a_constant_map_leaves_every_measure_undefined(constant):
    flat = np.full((32, 32), constant, dtype=np.float32)
    assert set(compare_maps(noise(0), flat).values()) == {None}
    assert set(compare_maps(flat, noise(0)).values()) == {None}


def test_a_spot_that_moves_costs_its_way():
    moved = movement(spot(2, 2), spot(2, 30))  # 28 of 32 pixels, or 7 of 8 cells, to the right
    assert moved["earth_mover"] == pytest.approx(7 / 8 / 2)
    assert moved["center_shift"] == pytest.approx(28 / 32 / 2**0.5)
    assert (moved["top_k"], moved["top_tenth_iou"]) == (0, 0)
    assert movement(spot(0, 0), spot(31, 31))["earth_mover"] == pytest.approx(7 / 8)


def test_pixels_without_evidence_are_in_no_top():
    one, other = spot(0, 31), spot(31, 0)
    assert movement(one, other)["top_tenth_iou"] == 0
    assert movement(one, one)["top_tenth_iou"] == 1


def test_half_of_the_top_that_stays_is_a_third_of_the_union():
    first, second = (np.full((20, 20), 0.01, dtype=np.float32) for _ in range(2))
    first[:2], second[1:3] = 1, 1  # the top tenth is two rows
    assert movement(first, second)["top_tenth_iou"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_earth_movers_distance_is_that_of_scipy(seed):
    first, second = np.random.default_rng(seed).random((2, 5, 5)) ** 3
    first, second = first / first.sum(), second / second.sum()
    places = np.stack(np.meshgrid(np.arange(5), np.arange(5), indexing="ij"), -1).reshape(-1, 2) / 5 / 2
    # scipy's ground distance is Euclid's; along one axis it is the city block's too.
    lines = first.sum(1), second.sum(1)
    reference = wasserstein_distance_nd(places[::5, :1], places[::5, :1], *lines)
    flat = [np.repeat(line[:, None] / 5, 5, axis=1) for line in lines]
    assert earth_mover(*flat) == pytest.approx(reference, abs=1e-9)
    assert earth_mover(first, second) >= wasserstein_distance_nd(places, places, first.ravel(), second.ravel()) - 1e-9


def test_centers_are_those_of_scipy():
    mass = np.abs(noise(1, (13, 29)).astype(np.float64))
    mass /= mass.sum()
    down, across = reference_center(mass)
    assert center_of_mass(mass) == (pytest.approx((across + 0.5) / 29), pytest.approx((down + 0.5) / 13))


@pytest.mark.parametrize("factor", [1e-38, 1e-5, 1e20])
def test_a_positive_factor_changes_nothing(factor):
    plain, scaled = compare_maps(noise(1), noise(2)), compare_maps(noise(1), (noise(2) * factor).astype(np.float32))
    assert list(scaled.values()) == pytest.approx(list(plain.values()), abs=1e-5)


def test_shuffled_pixels_lose_the_top_and_keep_the_mass():
    values = noise(3, (64, 64))
    mixed = np.random.default_rng(0).permutation(values.ravel()).reshape(values.shape)
    moved = movement(values, mixed)
    assert moved["top_tenth_iou"] == pytest.approx(0.1 / 1.9, abs=0.03)
    assert moved["earth_mover"] < 0.05
