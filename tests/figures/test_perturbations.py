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


def test_without_a_scale_it_is_the_next_power_of_two():
    before = np.zeros((1, 1, 3), dtype=np.uint8)
    for change, limit in ((0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (200, 256)):
        shown, magnification = difference(before, before + np.uint8(change))
        assert magnification == 127 / limit
        assert abs(int(shown[0, 0, 0]) - ZERO - change * 127 / limit) <= 0.5


def test_changes_beyond_the_scale_are_cut():
    before = np.array([[[0, 255, 10]]], dtype=np.uint8)
    shown, _ = difference(before, np.array([[[255, 0, 10]]], dtype=np.uint8), 4)
    assert shown.tolist() == [[[255, 1, ZERO]]]


def test_the_scale_of_a_ball_of_largest_changes_is_its_radius():
    assert scale_limit("linf", 8 / 255) == 8
    assert scale_limit("linf", 0.001) == 1
    assert scale_limit("linf", None) is scale_limit("l2", 0.5) is scale_limit(None, 0.5) is None


@pytest.mark.parametrize("size", [1, 32, 224])
def test_an_unchanged_picture_is_grey_all_over(size):
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    shown, _ = difference(picture, picture)
    assert shown.dtype == np.uint8
    assert (shown == ZERO).all()
