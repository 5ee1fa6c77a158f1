"""Colors of maps: where zero is, what the ends are, where scales end, and that units do not matter."""

import matplotlib as mpl
import numpy as np
import pytest

from advcli.figures.colors import NEUTRAL, color, legend, limit_of, overlay


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 511, dtype=np.float32)[None]


def test_a_map_of_one_sign_is_inferno():
    expected = mpl.colormaps["inferno"](np.array([0.0, 1.0]))[:, :3]
    assert np.array_equal(color(np.array([[0, 1]], dtype=np.float32), 1)[0], np.rint(expected * 255))


def test_a_map_of_one_sign_grows_brighter_all_the_way():
    brightness = color(ramp(0, 1), 1)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > -1).all()


def test_zero_of_a_signed_map_is_neutral_and_its_ends_are_blue_and_red():
    low, zero, high = color(np.array([[-1, 0, 1]], dtype=np.float32), 1)[0].astype(int)
    assert zero.tolist() == [NEUTRAL] * 3
    assert low[2] > low[0]
    assert high[0] > high[2]


def test_the_legend_has_the_colors_of_the_map_largest_first():
    assert np.array_equal(legend(signed=True)[[0, -1]], color(np.array([[1, -1]], dtype=np.float32), 1)[0])
    assert np.array_equal(legend(signed=False)[[0, -1]], color(np.array([[1, 0]], dtype=np.float32), 1)[0])


@pytest.mark.parametrize("scale", [1e-44, 1e-6, 1.0, 1e30])
def test_units_do_not_matter(scale):
    values = (np.sign(ramp(-1, 1)) * np.float32(scale)).astype(np.float32)
    assert np.array_equal(color(values, limit_of(values)), color(np.sign(values), 1))


def test_the_scale_is_cut_where_a_hundredth_of_the_values_holds_more_than_half_of_it():
    values = np.ones((100, 100), dtype=np.float32)
    assert limit_of(values) == 1
    values[0, 0] = 1.9
    assert limit_of(values) == np.float32(1.9)
    values[0, 0] = -50
    assert limit_of(values) == 1
    assert limit_of(np.zeros((3, 3), dtype=np.float32)) == 0
    lonely = np.zeros((100, 100), dtype=np.float32)
    lonely[3, 4] = 2
    assert limit_of(lonely) == 2, "a map of one value is not cut to nothing"


def test_values_beyond_the_scale_get_the_color_of_its_end():
    assert np.array_equal(
        color(np.array([[5, -5]], dtype=np.float32), 1), color(np.array([[1, -1]], dtype=np.float32), 1)
    )


def test_before_and_after_can_share_the_scale_of_two_signs():
    values = np.array([[0.0, 1.0]], dtype=np.float32)
    assert np.array_equal(color(values, 1, signed=True), color(np.array([[0, 1, -1]], dtype=np.float32), 1)[:, :2])


def test_a_blank_map_is_plain_neutral():
    shown = color(np.zeros((5, 7), dtype=np.float32), 0)
    assert shown.shape == (5, 7, 3)
    assert shown.dtype == np.uint8
    assert (shown == NEUTRAL).all()


@pytest.mark.parametrize("value", [4, -4])
def test_overlay_leaves_a_grey_photo_where_there_is_no_evidence_and_color_where_it_is_strongest(value):
    photo = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    values = np.zeros((6, 6), dtype=np.float32)
    values[2, 3] = value
    shown = overlay(photo, values, 4)
    untouched = np.delete(shown.reshape(36, 3), 2 * 6 + 3, axis=0)
    assert (untouched == untouched[:, :1]).all()
    assert np.array_equal(shown[2, 3], color(values, 4)[2, 3])
    blank = overlay(photo, np.zeros((6, 6), dtype=np.float32), 0)
    assert np.array_equal(np.delete(blank.reshape(36, 3), 15, axis=0), untouched)
