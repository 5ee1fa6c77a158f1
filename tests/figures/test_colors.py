"""Colors of maps: where zero is, what the ends are, and that scales do not matter."""

import matplotlib as mpl
import numpy as np
import pytest

from advcli.figures.colors import NEUTRAL, display, heat, overlay, signed


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 511, dtype=np.float32)[None]


def test_heat_is_inferno():
    expected = mpl.colormaps["inferno"](np.array([0.0, 1.0]))[:, :3]
    assert np.array_equal(heat(np.array([[0, 1]], dtype=np.float32))[0], np.rint(expected * 255))


def test_heat_grows_brighter_all_the_way():
    brightness = heat(ramp(0, 1))[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > -1).all()


def test_zero_of_a_signed_map_is_neutral_and_its_ends_are_blue_and_red():
    low, zero, high = signed(np.array([[-1, 0, 1]], dtype=np.float32))[0].astype(int)
    assert zero.tolist() == [NEUTRAL] * 3
    assert low[2] > low[0]
    assert high[0] > high[2]


@pytest.mark.parametrize("scale", [1e-44, 1e-6, 1.0, 1e30])
def test_display_shows_a_map_on_its_own_scale(scale):
    one_sign = (ramp(0, 1) * 100 / 128 * np.float32(scale)).astype(np.float32)
    two_signs = (np.sign(ramp(-1, 1)) * np.float32(scale)).astype(np.float32)
    assert np.array_equal(display(one_sign), heat((one_sign.astype(np.float64) / one_sign.max()).astype(np.float32)))
    assert np.array_equal(display(two_signs), signed(np.sign(two_signs)))


def test_a_blank_map_is_plain_neutral():
    shown = display(np.zeros((5, 7), dtype=np.float32))
    assert shown.shape == (5, 7, 3)
    assert shown.dtype == np.uint8
    assert (shown == NEUTRAL).all()


def test_overlay_leaves_a_grey_photo_where_there_is_no_evidence_and_color_where_it_is_strongest():
    photo = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    values = np.zeros((6, 6), dtype=np.float32)
    values[2, 3] = -4
    shown = overlay(photo, values)
    untouched = np.delete(shown.reshape(36, 3), 2 * 6 + 3, axis=0)
    assert (untouched == untouched[:, :1]).all()
    assert np.array_equal(shown[2, 3], heat(np.ones((1, 1), dtype=np.float32))[0, 0])
    blank = overlay(photo, np.zeros((6, 6), dtype=np.float32))
    assert np.array_equal(np.delete(blank.reshape(36, 3), 15, axis=0), untouched)
