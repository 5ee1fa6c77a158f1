"""Charts: small, valid, repeatable, and without a trace on matplotlib."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest

from advcli.figures.charts import accuracy_bars, passes_histogram, similarity_bars

SUMMARY = {
    "clean_accuracy": 0.913,
    "clean_accuracy_low": 0.886,
    "clean_accuracy_high": 0.935,
    "robust_accuracy": 0.0,
    "robust_accuracy_low": 0.0,
    "robust_accuracy_high": 0.0072,
    "robust_accuracy_as_saved": 0.031,
    "robust_accuracy_as_saved_low": 0.018,
    "robust_accuracy_as_saved_high": 0.05,
}
MEANS = {"grad-cam": {"spearman": (0.3, 0.2, 0.4), "hog": None}, "gradient": {"spearman": (-0.1, -0.2, 0.0)}}


def texts(svg: bytes) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: accuracy_bars(SUMMARY),
        lambda: accuracy_bars({}),
        lambda: similarity_bars(MEANS),
        lambda: similarity_bars({}),
        lambda: passes_histogram([1, 2, 2, 3, 40]),
        lambda: passes_histogram([2, 2]),
        lambda: passes_histogram([0, 5000]),
        lambda: passes_histogram([1, 5000]),
        lambda: passes_histogram([]),
    ],
)
def test_a_chart_is_a_small_svg_file_and_the_same_every_time(draw):
    svg = draw()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(svg) < 20_000
    assert svg == draw()


def test_rates_are_labelled_with_their_values():
    assert {"clean", "robust", "robust, as saved", "91.3 %", "0.0 %", "3.1 %"} <= set(texts(accuracy_bars(SUMMARY)))


def test_a_rate_that_is_not_known_is_left_out():
    unlabelled = {**SUMMARY, "clean_accuracy": None, "clean_accuracy_low": None, "clean_accuracy_high": None}
    assert "clean" not in texts(accuracy_bars(unlabelled))


def test_an_undefined_similarity_is_said_to_be_so():
    assert {"grad-cam", "gradient", "Spearman", "HOG of |v|", "undefined"} <= set(texts(similarity_bars(MEANS)))


def test_names_of_methods_cannot_leave_their_text():
    svg = similarity_bars({"</text><script>alert(1)</script>": {"spearman": (0.3, 0.2, 0.4)}})
    assert b"<script>" not in svg


def test_settings_of_matplotlib_are_left_as_they_were():
    before = dict(mpl.rcParams)
    accuracy_bars(SUMMARY)
    assert dict(mpl.rcParams) == before


def test_a_chart_does_not_load_pyplot():
    code = "import sys; from advcli.figures.charts import *; passes_histogram([1]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "matplotlib" in loaded
    assert "matplotlib.pyplot" not in loaded
