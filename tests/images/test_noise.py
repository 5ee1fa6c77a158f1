"""Noise is what it says, and an attempt's picture depends on nothing but its number."""

from typing import get_args

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from advcli.core.choices import NoiseKind
from advcli.errors import ContractError
from advcli.images.noise import KINDS, SIGMA, Draws, noise
from advcli.images.reading import decode, fit, read_bytes
from advcli.images.samples import samples

SIZE = (12, 10)


def test_the_command_line_offers_every_kind():
    assert get_args(NoiseKind) == tuple(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_the_same_whatever_range_it_is_drawn_in(kind):
    whole = noise(kind, 3, 0, 40, SIZE)
    assert whole.shape == (40, 3, *SIZE)
    assert whole.dtype == np.uint8
    parts = [noise(kind, 3, first, count, SIZE) for first, count in ((0, 1), (1, 16), (17, 23))]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_attempts_and_seeds_differ(kind):
    pictures = noise(kind, 0, 0, 50, SIZE).reshape(50, -1)
    assert len(np.unique(pictures, axis=0)) == 50
    assert not np.array_equal(noise(kind, 1, 0, 50, SIZE).reshape(50, -1), pictures)


def test_draws_of_one_attempt_are_independent_and_do_not_overlap_those_of_the_next():
    draws = Draws(0, "uniform", 7, 2, SIZE)
    first, second = draws.bits(np.uint32, 100), draws.bits(np.uint32, 100)
    assert len(np.unique(np.concatenate([first.ravel(), second.ravel()]))) == 400
    assert np.array_equal(Draws(0, "uniform", 8, 1, SIZE).bits(np.uint32, 100)[0], first[1])


def test_uniform_noise_has_all_levels_alike():
    levels = noise("uniform", 0, 0, 200, (32, 32))
    assert chisquare(np.bincount(levels.ravel(), minlength=256)).pvalue > 0.001


def test_gaussian_noise_has_the_levels_of_the_normal_distribution():
    levels = noise("gaussian", 0, 0, 200, (32, 32))
    edges = (np.arange(257) - 0.5) / 255
    edges[[0, -1]] = -np.inf, np.inf
    expected = np.diff(norm.cdf(edges, 0.5, SIGMA)) * levels.size
    assert chisquare(np.bincount(levels.ravel(), minlength=256), expected).pvalue > 0.001


def test_salt_is_black_and_white_on_grey_in_every_density():
    levels = noise("salt", 0, 0, 2000, SIZE)
    assert set(np.unique(levels)) == {0, 128, 255}
    assert (levels == levels[:, :1]).all()
    densities = (levels[:, 0] != 128).mean((1, 2))
    assert abs(densities.mean() - 0.5) < 0.03
    assert abs(densities.std() - 12**-0.5) < 0.03
    assert abs((levels == 0).sum() / (levels != 128).sum() - 0.5) < 0.01


def test_constant_noise_is_one_color_of_any_kind():
    levels = noise("constant", 0, 0, 5000, SIZE)
    assert (levels == levels[:, :, :1, :1]).all()
    assert chisquare(np.bincount(levels[:, :, 0, 0].ravel(), minlength=256)).pvalue > 0.001


def test_a_shuffled_image_has_the_pixels_of_a_sample_in_another_order():
    pictures = [
        fit(decode(read_bytes(source.location), source.path), SIZE, max(SIZE), "bilinear") for source in samples()
    ]
    known = {tuple(sorted(map(tuple, picture.reshape(3, -1).T.tolist()))): picture for picture in pictures}
    levels = noise("shuffled-image", 0, 0, 60, SIZE)
    found = [tuple(sorted(map(tuple, picture.reshape(3, -1).T.tolist()))) for picture in levels]
    assert set(found) == set(known)
    assert all((known[key] != picture).any() for key, picture in zip(found, levels, strict=True))


def test_perlin_noise_is_the_sum_over_the_corners_of_each_cell():
    """Computed value by value as Perlin writes it, in float64, from the same bits."""
    height, width = SIZE
    draws, fields = Draws(5, "perlin", 2, 1, SIZE), np.zeros((3, height, width))
    for octave, cells in enumerate((4, 8, 16)):
        angle = draws.bits(np.uint8, 3, cells + 1, cells + 1)[0] * (2 * np.pi / 256)
        for y in range(height):
            for x in range(width):
                down, across = (y + 0.5) * cells / height, (x + 0.5) * cells / width
                top, left = int(down), int(across)
                for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    dy, dx = down - top - row, across - left - column
                    fade = np.prod([1 - abs(t) ** 3 * (abs(t) * (abs(t) * 6 - 15) + 10) for t in (dx, dy)])
                    chosen = angle[:, top + row, left + column]
                    fields[:, y, x] += 0.5**octave * fade * (np.cos(chosen) * dy + np.sin(chosen) * dx)
    expected = 255 * np.clip(0.5 + 0.9 * fields, 0, 1)
    assert np.abs(noise("perlin", 5, 2, 1, SIZE)[0] - expected).max() < 0.51


def test_an_unknown_kind_is_refused():
    with pytest.raises(ContractError, match="'pink' is none of uniform"):
        noise("pink", 0, 0, 1, SIZE)
