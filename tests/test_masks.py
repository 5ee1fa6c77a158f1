"""Masked pictures: which pixels are kept, what replaces them, and that chance decides between equals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advcli import masks
from advcli.core.blurring import blurred

PIXELS = (torch.rand(3, 9, 7, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
FILLS = masks.Fill.__args__


def test_the_largest_value_comes_first():
    values = np.array([[4, 3], [2, -1]], dtype=np.float32)
    assert masks.ranking(values, masks.ties(0, "a", (2, 2))).tolist() == [[0, 1], [2, 3]]


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_a_ranking_is_a_permutation_and_falls(seed, height, width):
    values = np.random.default_rng(seed).integers(-2, 3, (height, width)).astype(np.float32)
    rank = masks.ranking(values, masks.ties(seed, "a", values.shape))
    assert sorted(rank.ravel()) == list(range(values.size))
    assert (np.diff(values.ravel()[np.argsort(rank.ravel())]) <= 0).all()


def test_equal_values_are_ordered_by_chance_that_is_the_pictures_own():
    flat = np.zeros((8, 8), dtype=np.float32)
    first = masks.ranking(flat, masks.ties(0, "a", (8, 8)))
    assert (first == masks.ranking(None, masks.ties(0, "a", (8, 8)))).all()
    assert first.ravel().tolist() != list(range(64))
    for seed, sha256 in ((0, "b"), (1, "a")):
        assert (masks.ranking(flat, masks.ties(seed, sha256, (8, 8))) != first).any()


def test_the_random_order_is_uniform():
    ranks = np.stack([masks.ranking(None, masks.ties(0, str(place), (4, 4))) for place in range(2000)])
    assert np.abs(ranks.mean(0) - 7.5).max() < 5 * np.sqrt((16**2 - 1) / 12 / 2000)


@pytest.mark.parametrize("fill", FILLS)
def test_a_filling_lies_on_the_grid_and_belongs_to_the_picture(fill):
    filled = masks.filling(fill, PIXELS, 0, "a")
    assert torch.equal((filled * 255).round() / 255, filled)
    assert filled.min() >= 0
    assert filled.max() <= 1
    assert torch.equal(masks.filling(fill, PIXELS, 0, "a"), filled)
    noisy = fill in ("gaussian", "uniform")
    assert torch.equal(masks.filling(fill, PIXELS, 0, "b"), filled) != noisy
    assert torch.equal(masks.filling(fill, PIXELS, 1, "a"), filled) != noisy


def test_fillings_are_what_they_are_called():
    large = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.3
    assert not masks.filling("zero", large, 0, "a").any()
    mean = masks.filling("mean", large, 0, "a")
    assert (mean - large.mean((1, 2), keepdim=True)).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(masks.filling("blur", large, 0, "a"), (blurred(large[None])[0] * 255).round() / 255)
    uniform = masks.filling("uniform", large, 0, "a")
    assert abs(uniform.mean() - 0.5) < 0.02
    assert abs(uniform.std() - 12**-0.5) < 0.02
    gaussian = masks.filling("gaussian", large, 0, "a")
    assert (gaussian.mean((1, 2)) - large.mean((1, 2))).abs().max() < 0.01
    assert (gaussian.std((1, 2)) - large.std((1, 2))).abs().max() < 0.01


def test_blurring_keeps_a_flat_picture_and_spreads_a_point():
    flat = torch.full((2, 3, 5, 30), 0.25)
    assert torch.allclose(blurred(flat), flat, atol=1e-7)
    point = torch.zeros(1, 3, 31, 31)
    point[:, :, 15, 15] = 1
    spread = blurred(point)
    assert torch.allclose(spread.sum((2, 3)), torch.ones(1, 3), atol=1e-5)
    assert int((spread[0, 0] > 0).sum()) == 11 * 11
    assert blurred(torch.rand(1, 3, 1, 1)).shape == (1, 3, 1, 1)


def test_blurring_does_not_depend_on_the_company():
    pictures = torch.rand(9, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blurred(pictures)[4:5], blurred(pictures[4:5]))


def test_a_masked_picture_has_the_kept_pixels_and_the_filling_elsewhere():
    kept = masks.ranking(None, masks.ties(0, "a", (9, 7))) < masks.count_of(0.25, 63)
    assert kept.sum() == 16
    filled = masks.filling("uniform", PIXELS, 0, "a")
    picture = masks.masked(PIXELS, filled, kept)
    inside = torch.from_numpy(kept)
    assert torch.equal(picture[:, inside], PIXELS[:, inside])
    assert torch.equal(picture[:, ~inside], filled[:, ~inside])
