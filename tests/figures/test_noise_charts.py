"""Charts and contact sheets of a noise search."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from advcli.figures.noise_charts import noise_charts
from advcli.figures.noise_sheets import ACROSS, Kept, Shown, confident_sheets, embedded, sheet
from advcli.images.writing import png_bytes

PROBABILITIES = {"uniform": np.linspace(0.2, 1, 50), "perlin": np.full(10, 0.3)}
CLASSES = {"uniform": {"frog": (40, 20), "a<b>": (10, 0)}, "perlin": {"cat": (10, 0)}}


def test_every_chart_names_what_it_shows_and_is_the_same_bytes_again():
    charts = noise_charts(PROBABILITIES, CLASSES, 0.9)
    assert set(charts) == {"hit-rate", "confidence", "classes-uniform", "classes-perlin"}
    assert b"Hit rate against threshold" in charts["hit-rate"]
    assert b"the line is at 0.9" in charts["hit-rate"]
    assert b"a&lt;b&gt;" in charts["classes-uniform"]
    assert charts == noise_charts(PROBABILITIES, CLASSES, 0.9)
    assert noise_charts({}, {}, 0.9) == {}


@pytest.mark.parametrize("count", [1, ACROSS, ACROSS + 1])
def test_a_sheet_has_each_picture_above_its_gradient(count):
    picture, gradient = np.full((8, 8, 3), 10, np.uint8), np.full((8, 8, 3), 200, np.uint8)
    shown = [Shown(picture, gradient, "frog", 0.95, f"attempt {place}", hit=True) for place in range(count)]
    drawn = sheet(shown, "uniform")
    assert (drawn == 10).all(2).sum() == (drawn == 200).all(2).sum() > count * 190**2


def test_a_sheet_on_disk_is_the_picture_itself(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for name in ("a.png", "a.gradient.png"):
        (tmp_path / "images" / name).write_bytes(png_bytes(pixels))
    kept = [Kept("attempt 1", "frog", 0.95, hit=True, file="images/a.png")]
    (found,) = confident_sheets({"most-confident-uniform": kept, "none": []}, tmp_path).values()
    data = base64.b64decode(re.search(rb"base64,([^\"]+)\"", found)[1])
    expected = sheet([Shown(pixels, pixels, "frog", 0.95, "attempt 1", hit=True)], "most-confident-uniform")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), expected)
    assert found == embedded(expected)
