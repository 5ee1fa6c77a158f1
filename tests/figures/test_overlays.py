"""Overlays: of the photograph's size, the map where the network saw it, and boxes carried back."""

import numpy as np
import pytest
from PIL import Image

from advcli.figures.colors import color, limit_of
from advcli.figures.overlays import Photo, photo_overlay, seen_box
from advcli.images.reading import fit


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "size", "resize", "box"),
    [
        (224, 224, (224, 224), 256, (0, 0, 224, 224)),
        (512, 512, (224, 224), 256, (32, 32, 480, 480)),
        (600, 400, (400, 400), 400, (100, 0, 500, 400)),
        (400, 600, (400, 400), 400, (0, 100, 400, 500)),
        (1000, 500, (100, 200), 250, (300, 150, 700, 350)),
    ],
)
def test_the_box_is_the_part_that_the_network_sees(width, height, size, resize, box):
    assert seen_box(width, height, size, resize) == box


@pytest.mark.parametrize(("width", "height"), [(640, 480), (333, 777), (1001, 256), (97, 64)])
def test_the_box_holds_what_reading_a_picture_keeps(width, height):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None].astype(np.uint8)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None].astype(np.uint8)
    seen = fit(Image.fromarray(pixels), (56, 56), 64, "bilinear").astype(float)
    left, top, right, bottom = seen_box(width, height, (56, 56), 64)
    expected = [255 * (left + right) / 2 / width, 255 * (top + bottom) / 2 / height]
    assert np.allclose(seen[:2].mean(axis=(1, 2)), expected, atol=1.5)


def test_the_overlay_has_the_size_of_the_photograph_and_its_color_where_the_evidence_is():
    values = np.zeros((56, 56), dtype=np.float32)
    values[20:36, 20:36] = 1
    shown = photo_overlay(Photo.cropped(photo(480, 640), (56, 56), 64), values)
    assert shown.shape == (480, 640, 3)
    assert np.array_equal(shown[240, 320], color(values, 1)[28, 28])
    outside = shown[:, :60]
    assert (outside == outside[..., :1]).all()
    assert outside.min() >= 178, "what the network did not see is paler"
    left = round(seen_box(640, 480, (56, 56), 64)[0])
    assert (shown[100:380, left - 1] == (31, 35, 40)).all()


def test_a_small_picture_is_enlarged_and_its_pixels_stay_squares():
    values = np.random.default_rng(0).normal(size=(32, 32)).astype(np.float32)
    shown = photo_overlay(Photo.whole(photo(32, 32)), values)
    assert shown.shape == (224, 224, 3)
    assert np.array_equal(shown, shown[::7, ::7].repeat(7, axis=0).repeat(7, axis=1))
    strongest = np.unravel_index(np.abs(values).argmax(), values.shape)
    assert np.array_equal(shown[::7, ::7][strongest], color(values, limit_of(values))[strongest])


def test_a_blank_map_leaves_a_pale_grey_photograph():
    shown = photo_overlay(Photo.whole(photo(300, 200)), np.zeros((224, 224), dtype=np.float32))
    assert shown.shape == (300, 200, 3)
    assert (shown == shown[..., :1]).all()


def test_boxes_of_a_map_are_carried_to_whole_pixels_of_the_photograph():
    cropped = Photo.cropped(photo(512, 512), (224, 224), 256)
    assert cropped.to_photo((0, 0, 224, 224), (224, 224)) == (32, 32, 480, 480)
    assert cropped.to_photo((1, 2, 3, 5), (224, 224)) == (34, 36, 38, 42)
    assert cropped.to_photo((0, 0, 1, 1), (7, 7)) == (32, 32, 96, 96)
    assert Photo.whole(photo(10, 20)).to_photo((0, 0, 3, 3), (3, 3)) == (0, 0, 20, 10)
