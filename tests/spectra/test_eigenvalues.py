"""Spectra known in closed form."""

import numpy as np
import pytest

from advcli.spectra.eigenvalues import (
    eigenvalues_of,
    marchenko_pastur,
    marchenko_pastur_edges,
    matrix_norm,
    shuffled_eigenvalues,
    steady_eigenvalues,
)


def test_a_gram_matrix_gives_the_singular_values_or_nothing():
    draw = np.random.default_rng(4)
    matrix = draw.standard_normal((70, 50))
    expected = np.sort(np.linalg.svd(matrix, compute_uv=False)) ** 2
    assert steady_eigenvalues(matrix) == pytest.approx(expected, rel=1e-9)
    assert steady_eigenvalues(matrix.T) == pytest.approx(expected, rel=1e-9)
    matrix[:, 0] = matrix[:, 1]
    assert steady_eigenvalues(matrix) is None
    assert steady_eigenvalues(np.zeros((5, 4))) is None


@pytest.mark.parametrize("shape", [(900, 300), (300, 900), (400, 400)])
def test_gaussian_noise_fills_the_marchenko_pastur_law(random, shape):
    weight = random.normal(0, 0.1, shape)
    found = eigenvalues_of(weight)
    rows, columns = max(shape), min(shape)
    low, high = marchenko_pastur_edges(0.01, rows, columns)
    assert found.max() == pytest.approx(high, rel=0.03)
    assert found.min() == pytest.approx(low, abs=0.03 * high)
    edges = np.linspace(low + 1e-3, high, 9)
    counted = np.histogram(found, edges)[0] / len(found)
    fine = np.linspace(edges[0], edges[-1], 8001)
    density = marchenko_pastur(fine, 0.01, rows, columns)
    below = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(fine)))
    assert counted == pytest.approx(np.diff(np.interp(edges, fine, below)), abs=0.03)


def test_the_marchenko_pastur_density_has_integral_one():
    points = np.linspace(*marchenko_pastur_edges(2.0, 50, 20), 200_001)
    assert np.trapezoid(marchenko_pastur(points, 2.0, 50, 20), points) == pytest.approx(1, abs=1e-4)


def test_an_orthogonal_matrix_has_equal_eigenvalues(random):
    orthogonal = np.linalg.qr(random.normal(size=(64, 64)))[0]
    assert eigenvalues_of(orthogonal) == pytest.approx(np.ones(64))
    assert matrix_norm(orthogonal) == pytest.approx(1, rel=1e-5)


def test_a_convolution_pools_the_places_of_its_kernel(random):
    weight = random.normal(size=(12, 7, 3, 3))
    each = [
        np.linalg.svd(weight[:, :, row, column], compute_uv=False) ** 2 / 2 for row in range(3) for column in range(3)
    ]
    assert eigenvalues_of(weight) == pytest.approx(np.sort(np.concatenate(each)))


@pytest.mark.parametrize("shape", [(100, 40), (40, 100), (30, 30, 3, 3), (200, 8, 3, 3), (5, 9), (64, 1, 3, 3)])
def test_the_matrix_norm_is_the_largest_singular_value(random, shape):
    weight = random.normal(size=shape).astype(np.float32)
    assert matrix_norm(weight) == pytest.approx(np.linalg.norm(weight.reshape(len(weight), -1), 2), rel=1e-5)


def test_the_matrix_norm_of_nothing_is_nothing():
    assert matrix_norm(np.zeros((30, 40), np.float32)) == 0


def test_shuffling_keeps_the_values_and_loses_the_structure(random):
    spike = np.outer(random.normal(size=80), random.normal(size=60)) + random.normal(size=(80, 60)) * 0.1
    shuffled = shuffled_eigenvalues(spike, 0, "f", "layer")
    assert shuffled.sum() == pytest.approx((spike**2).sum())
    assert shuffled.max() < eigenvalues_of(spike).max() / 5
    assert np.array_equal(shuffled, shuffled_eigenvalues(spike, 0, "f", "layer"))
    assert not np.array_equal(shuffled, shuffled_eigenvalues(spike, 1, "f", "layer"))
