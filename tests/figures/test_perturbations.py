"""Perturbations made visible: one signed scale, grey for nothing, no wrapping round."""

import numpy as np
import pytest

from advcli.figures.perturbations import ZERO, difference, scale_limit


def test_a_change_is_stretched_around_grey():
    before = np.full((4, 4, 3), 100, dtype=np.uint8)
    after = before.copy()
    after[0, 0, 0], after[1, 1, 1], after[3, 3, 0] = 108, 92, 104
    shown, magnification = difference(before, after, 8)
    assert magnification == 127 / 8
    assert (shown[0, 0, 0], shown[1, 1, 1], shown[2, 2, 2], shown[3, 3, 0]) == (255, 1, ZERO, 192)


def test_changes_beyond_the_scale_are_cut():
    before = np.array([[[0, 255, 10]]], dtype=np.uint8)
    shown, _ = difference(before, np.array([[[255, 0, 10]]], dtype=np.uint8), 4)
    assert shown.tolist() == [[[255, 1, ZERO]]]


def test_the_scale_of_a_ball_of_largest_changes_is_its_radius():
    assert scale_limit("linf", 8 / 255, 3072) == 8
    assert scale_limit("linf", 0.001, 3072) == 1


@pytest.mark.parametrize(
    ("norm", "eps", "limit"),
    [
        ("l2", 0.5, 32),
        ("l2", 1e-6, 1),
        ("l2", 50, 256),
        ("l1", 12, 64),
        ("l0", None, 255),
        ("l2", None, 16),
        (None, None, 16),
    ],
)
def test_the_scale_follows_from_the_case_alone(norm, eps, limit):
    assert scale_limit(norm, eps, 3 * 32 * 32) == limit


@pytest.mark.parametrize("size", [1, 32, 224])
def test_an_unchanged_picture_is_grey_all_over(size):
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    shown, _ = difference(picture, picture, 16)
    assert shown.dtype == np.uint8
    assert (shown == ZERO).all()
