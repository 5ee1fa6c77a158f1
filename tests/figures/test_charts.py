"""Charts: small, valid, repeatable, titled, ending where the data end, and without a trace on matplotlib."""

import io
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from advcli.errors import ContractError
from advcli.figures.accuracy_chart import accuracy_chart
from advcli.figures.class_chart import class_chart
from advcli.figures.formats import in_format
from advcli.figures.min_eps_chart import min_eps_chart
from advcli.figures.noise_sheets import embedded
from advcli.figures.passes_chart import passes_chart
from advcli.figures.robustness_chart import curves, robustness_chart
from advcli.figures.run_charts import attack_charts
from advcli.figures.similarity_chart import similarity_chart


def rates(**values: float) -> dict[str, float]:
    return {
        f"{name}{end}": min(max(value + shift, 0), 1)
        for name, value in values.items()
        for end, shift in (("", 0), ("_low", -0.05), ("_high", 0.05))
    }


def case(method: str, eps: int, robust: float, **axes: object) -> dict[str, object]:
    facts = {"case": f"{method}-{eps}_255", "model": "net", "method": method, "norm": "linf", "eps": eps / 255}
    return {**facts, **rates(clean_accuracy=0.9, robust_accuracy=robust, robust_accuracy_as_saved=robust), **axes}


CASES = [case("pgd", 1, 0.5), case("pgd", 4, 0.1), case("fgsm", 1, 0.7), case("fgsm", 4, 0.3)]
LABELS = [{"model": "net", "label": name, "images": 9, **rates(clean_accuracy=0.9)} for name in ("cat", "dog")]
MEANS = {"grad-cam": {"spearman": (0.3, 0.2, 0.4), "hog": None}, "gradient": {"spearman": (-0.1, -0.2, 0.0)}}


def counts(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def texts(svg: bytes) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: accuracy_chart(CASES),
        lambda: accuracy_chart([]),
        lambda: accuracy_chart([{"case": "x"}]),
        lambda: class_chart(LABELS),
        lambda: robustness_chart(curves(CASES)["linf"], "linf"),
        lambda: robustness_chart({}, "l2"),
        lambda: similarity_chart("pgd", MEANS),
        lambda: similarity_chart("pgd", {}),
        lambda: passes_chart({"x": counts(1, 2, 2, 3, 40)}),
        lambda: passes_chart({"x": counts(2, 2), "y": counts()}),
        lambda: passes_chart({"x": counts(0, 5000)}),
        lambda: passes_chart({"x": counts(1, 5000), "y": counts(3)}),
        lambda: passes_chart({}),
        lambda: min_eps_chart("pgd", counts(0.01, 0.02, np.inf), "linf"),
        lambda: min_eps_chart("pgd", counts(np.inf), "l2"),
        lambda: min_eps_chart("pgd", counts(), None),
    ],
)
def test_a_chart_is_a_small_svg_file_and_the_same_every_time(draw):
    svg = draw()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(svg) < 40_000
    assert svg == draw()


def test_every_case_is_in_the_accuracy_chart_with_its_values_and_the_clean_rate_once():
    written = texts(accuracy_chart(CASES))
    assert {"Accuracy by case", *(row["case"] for row in CASES)} <= set(written)
    assert written.count("90.0 %") == 1
    assert {"50.0 %", "10.0 %", "70.0 %", "30.0 %", "100 %"} <= set(written)


def test_a_rate_that_is_not_known_is_left_out():
    unlabelled = [{"case": "pgd", **rates(unchanged_predictions=0.25), "clean_accuracy": None}]
    written = texts(accuracy_chart(unlabelled))
    assert "prediction unchanged" in written
    assert "clean" not in written


def test_cases_that_differ_in_eps_alone_are_one_line_that_begins_at_the_clean_accuracy():
    lines = curves(CASES)["linf"]
    assert list(lines) == ["pgd", "fgsm"]
    assert [(eps, round(value, 9)) for eps, (value, _, _) in lines["pgd"]] == [(0, 0.9), (1 / 255, 0.5), (4 / 255, 0.1)]


def test_methods_with_one_eps_have_no_line_and_norms_are_not_mixed():
    cases = [case("pgd", 1, 0.5), case("pgd", 4, 0.5, norm="l2"), case("fgsm", 4, 0.2)]
    assert curves(cases) == {}
    assert curves([case("pgd", 1, 0.5, settings={"steps": 5}), case("pgd", 4, 0.5, settings={"steps": 9})]) == {}
    assert curves([{"case": "jsma", "eps": None, **rates(robust_accuracy=0.1)}]) == {}


def test_the_axis_of_eps_ends_at_the_largest():
    written = texts(robustness_chart(curves(CASES)["linf"], "linf"))
    assert {"0", "1", "2", "3", "4"} <= set(written)
    assert "5" not in written
    assert {"Robust accuracy against eps, linf", "pgd", "fgsm"} <= set(written)


def test_intervals_are_promised_where_there_are_any():
    assert "before and after, 95 % intervals" in texts(similarity_chart("pgd", {"edge": {"ssim": (0.3, 0.2, 0.4)}}))
    assert "before and after" in texts(similarity_chart("pgd", {"edge": {"ssim": (0.3, 0.3, 0.3)}}))


def test_an_undefined_similarity_is_said_to_be_so():
    written = set(texts(similarity_chart("pgd-8_255", MEANS)))
    assert {
        "Similarity of the maps, pgd-8_255",
        "grad-cam",
        "gradient",
        "Spearman",
        "HOG of |v|",
        "undefined",
    } <= written


def test_the_axis_of_passes_ends_where_the_data_end():
    assert [text for text in texts(passes_chart({"pgd": counts(2, 3, 3)})) if text in ("1", "2", "3", "4")].count(
        "4"
    ) == 0
    alone = texts(passes_chart({"pgd": counts(2, 2)}))
    assert not [text for text in alone if "." in text]  # whole numbers of passes only


def test_passes_name_their_cases_and_the_costliest_are_kept():
    assert "Forward passes an image, pgd" in texts(passes_chart({"pgd": counts(1, 2)}))
    many = {f"c{n}": counts(n, n + 1) for n in range(1, 11)}
    written = " ".join(texts(passes_chart(many)))
    assert "the costliest 8 of 10 cases" in written
    assert "c10, mean 10.5" in written
    assert "c1, mean" not in written


def test_the_median_counts_what_withstood():
    written = " ".join(texts(min_eps_chart("pgd", counts(1 / 255, 2 / 255, np.inf, np.inf), "linf")))
    assert "Smallest eps, pgd" in written
    assert "median 2, quartiles 1 and beyond; 2 withstood" in written


def test_a_run_has_the_charts_that_its_figures_allow():
    series = {"passes": {"pgd-1_255": counts(1, 2)}}
    assert list(attack_charts({"cases": CASES, "labels": LABELS}, series)) == [
        "accuracy",
        "robust-accuracy-linf",
        "classes",
        "passes",
    ]
    row = {"case": "pgd-1_255", "method": "ig", "score": "logit", "after": "same", "misclassified": True}
    rows = [{**row, "metric": "ssim", "mean": 0.5, "low": None, "high": None}]
    assert list(attack_charts({"cases": CASES[:1], "labels": LABELS[:1], "similarity": rows}, {})) == [
        "accuracy",
        "similarity-pgd-1_255",
    ]
    least = attack_charts({"cases": CASES[:1], "labels": []}, {"min_eps": {"pgd-1_255": counts(0.1)}})
    assert list(least) == ["accuracy", "min-eps-pgd-1_255"]


@pytest.mark.parametrize("name", ["</text><script>alert(1)</script>", "cost $x_{$ and $y$", "猫", "W" * 200])
def test_names_cannot_leave_their_text(name):
    for svg in (
        similarity_chart(name, {name: {"ssim": (0.3, 0.2, 0.4)}}),
        accuracy_chart([{**CASES[0], "case": name}]),
    ):
        assert b"<script>" not in svg
        ET.fromstring(svg)


def test_settings_of_matplotlib_are_left_as_they_were():
    before = dict(mpl.rcParams)
    accuracy_chart(CASES)
    assert dict(mpl.rcParams) == before


def test_a_chart_does_not_load_pyplot():
    code = "import sys; from advcli.figures.passes_chart import *; passes_chart({}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "matplotlib" in loaded
    assert "matplotlib.pyplot" not in loaded


@pytest.mark.parametrize("file_format", ["svg", "png", "pdf"])
def test_charts_are_the_same_bytes_again_in_every_format(file_format):
    def drawn():
        chart = similarity_chart("pgd", MEANS)
        sheet = embedded(np.full((20, 30, 3), 7, np.uint8))
        return in_format(chart, file_format, 90), in_format(sheet, file_format, 90)

    first = drawn()
    time.sleep(1.1 if file_format == "pdf" else 0)  # whose dates are whole seconds
    assert drawn() == first


def test_a_sheet_of_pictures_keeps_its_pixels_as_a_png():
    pixels = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    with Image.open(io.BytesIO(in_format(embedded(pixels), "png", 300))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_an_svg_that_does_not_know_its_drawing_is_no_other_format():
    assert in_format(b"<svg/>", "svg", 90) == b"<svg/>"
    with pytest.raises(ContractError, match="as png"):
        in_format(b"<svg/>", "png", 90)
