"""Two maps: closed forms, agreement with scipy and scikit-image, and what is left undefined."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr
from skimage.feature import hog as reference_hog
from skimage.metrics import structural_similarity

from advcli.metrics.hog import cell_size, hog
from advcli.metrics.similarity import _ranks, similarity

SIZES = [(32, 32), (33, 47), (96, 64), (224, 224)]


def noise(seed: int, shape: tuple[int, int] = (32, 32), scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


@pytest.mark.parametrize("shape", SIZES)
def test_a_map_is_like_itself(shape):
    alike = similarity(noise(0, shape), noise(0, shape))
    assert list(alike.values()) == pytest.approx([1, 1, 1, 1, 1])


@pytest.mark.parametrize("shape", SIZES)
def test_signed_metrics_tell_a_map_from_its_negative_and_absolute_ones_do_not(shape):
    alike = similarity(noise(0, shape), -noise(0, shape))
    assert alike["spearman"] == pytest.approx(-1)
    assert alike["ssim"] is not None
    assert alike["ssim"] < -0.5
    assert (alike["spearman_abs"], alike["ssim_abs"], alike["hog"]) == pytest.approx((1, 1, 1))


def test_independent_maps_of_small_magnitude_are_not_alike():
    alike = similarity(noise(1, (224, 224), 1e-5), noise(2, (224, 224), 1e-5))
    assert abs(alike["spearman"]) < 0.02
    assert abs(alike["ssim"]) < 0.1


@pytest.mark.parametrize("factor", [1e-30, 1e-5, 3.0, 1e20])
def test_a_positive_factor_changes_nothing(factor):
    plain = similarity(noise(1), noise(2))
    scaled = similarity(noise(1), noise(2, scale=factor))
    assert list(scaled.values()) == pytest.approx(list(plain.values()), abs=1e-6)


def test_order_of_the_maps_does_not_matter():
    there, back = similarity(noise(1), noise(2)), similarity(noise(2), noise(1))
    assert list(there.values()) == pytest.approx(list(back.values()), abs=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_agrees_with_scipy_and_scikit_image(shape):
    a, b = noise(1, shape), np.round(noise(1, shape) + noise(2, shape), 1)  # rounded: with ties
    alike = similarity(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    assert alike["spearman"] == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    assert alike["spearman_abs"] == pytest.approx(spearmanr(abs(a).ravel(), abs(b).ravel()).statistic, abs=1e-12)
    a, b = a / abs(a).max(), b / abs(b).max()
    assert alike["ssim"] == pytest.approx(structural_similarity((a + 1) / 2, (b + 1) / 2, win_size=7, data_range=1))
    a, b = abs(a), abs(b)
    assert alike["ssim_abs"] == pytest.approx(structural_similarity(a, b, win_size=7, data_range=1))
    cell = cell_size(shape[0])
    descriptors = [reference_hog(one, 9, (cell, cell), (3, 3), block_norm="L2-Hys") for one in (a, b)]
    assert alike["hog"] == pytest.approx(np.corrcoef(descriptors)[0, 1], abs=1e-6)


@pytest.mark.parametrize("shape", SIZES)
def test_the_hog_descriptor_is_that_of_scikit_image(shape):
    values = np.abs(noise(3, shape).astype(np.float64))
    values /= values.max()
    cell = cell_size(shape[0])
    assert hog(values, cell) == pytest.approx(reference_hog(values, 9, (cell, cell), (3, 3)), abs=1e-6)


@pytest.mark.parametrize(("height", "cell"), [(224, 16), (299, 21), (112, 8), (32, 4), (8, 4)])
def test_cells_grow_with_the_map(height, cell):
    assert cell_size(height) == cell


@pytest.mark.parametrize("decimals", [0, 1, 7])
def test_ranks_are_those_of_scipy(decimals):
    values = np.round(noise(4).astype(np.float64), decimals)
    assert np.array_equal(_ranks(values), rankdata(values.ravel()))


@pytest.mark.parametrize("level", [0.0, 2.5, -1.0])
def test_a_constant_map_leaves_everything_undefined(level):
    flat = np.full((32, 32), level, dtype=np.float32)
    nothing = dict.fromkeys(("spearman", "spearman_abs", "ssim", "ssim_abs", "hog"))
    assert similarity(flat, noise(1)) == similarity(noise(1), flat) == similarity(flat, flat) == nothing


def test_a_map_of_constant_magnitude_leaves_the_absolute_metrics_undefined():
    signs = np.sign(noise(1))
    alike = similarity(signs, noise(2))
    assert alike["spearman"] is not None
    assert alike["ssim"] is not None
    assert (alike["spearman_abs"], alike["ssim_abs"], alike["hog"]) == (None, None, None)


def test_a_map_too_small_for_a_block_has_no_hog_and_one_too_small_for_a_window_no_ssim():
    small = similarity(noise(1, (8, 8)), noise(2, (8, 8)))
    assert small["hog"] is None
    assert small["ssim"] is not None
    tiny = similarity(noise(1, (6, 6)), noise(2, (6, 6)))
    assert tiny["ssim"] is None
    assert tiny["spearman"] is not None


def test_a_map_without_edges_inside_has_no_hog():
    spot = np.zeros((32, 34), dtype=np.float32)
    spot[:, -1] = 1  # beyond the last whole cell
    assert similarity(spot, noise(1, (32, 34)))["hog"] is None


def test_the_maps_are_left_as_they_were():
    a, b = noise(1), noise(2)
    similarity(a, b)
    assert np.array_equal(a, noise(1))
    assert np.array_equal(b, noise(2))
