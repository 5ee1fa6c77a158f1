"""Detection: areas in closed form, intervals that cover, thresholds from one half, and the verdict on the maps."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, norm

from advcli.reports.detection_figures import TOP_PROBABILITY, Scores, detection, half_of
from advcli.reports.roc import auroc, flagged, roc, threshold_at

CASES = {"fgsm": {"method": "fgsm", "eps": 4 / 255}}


def test_the_area_is_the_chance_that_an_attacked_picture_scores_higher():
    attacked, clean = np.array([3.0, 2.0, np.nan]), np.array([1.0, 2.0, 0.0])
    assert auroc(attacked, clean).value == pytest.approx((3 + 2.5) / 6)
    u = mannwhitneyu([3.0, 2.0], clean).statistic
    assert auroc(attacked, clean).value == pytest.approx(u / 6)
    assert auroc(np.full(3, np.nan), clean) is None


def test_intervals_cover_the_area_of_paired_scores():
    draw, covered = np.random.default_rng(0), 0
    for _ in range(400):
        shared = draw.normal(size=60) * 0.5**0.5
        clean = shared + draw.normal(size=60) * 0.5**0.5
        attacked = 1 + shared + draw.normal(size=60) * 0.5**0.5
        low, high = auroc(attacked, clean).interval()
        covered += low <= norm.cdf(1 / 2**0.5) <= high
    assert 0.91 <= covered / 400 <= 0.99


def test_a_perfect_parting_still_has_an_interval():
    low, high = auroc(np.arange(10.0) + 20, np.arange(10.0)).interval()
    assert (low, high) == (pytest.approx(0.025**0.1), 1.0)


def test_a_threshold_flags_at_most_its_share():
    scores = np.arange(100.0)
    assert flagged(scores, threshold_at(scores, 0.05)) == (5, 100)
    assert flagged(scores[:19], threshold_at(scores[:19], 0.05)) == (0, 19)
    assert threshold_at(np.full(3, np.nan)) is None


def test_curves_run_from_corner_to_corner():
    grid = np.linspace(0, 1, 5)
    assert roc(np.array([1.0, 0.0]), np.array([0.0, 0.0, 0.0, 0.0]), grid).tolist() == [0.5, 0.5, 0.5, 0.5, 1]
    assert roc(np.arange(4.0) + 9, np.arange(4.0), grid).tolist() == [1] * 5


def made(draw, shift, noisy=0.0, count=400):
    return Scores(draw.normal(size=count), shift + draw.normal(size=count), noisy + draw.normal(size=count))


@pytest.mark.parametrize(("maps", "verdict"), [(2.0, "the maps beat"), (0.2, "the maps do not beat")])
def test_the_report_says_whether_the_maps_beat_the_control(maps, verdict):
    draw, items = np.random.default_rng(1), pd.Index([f"{n}.png" for n in range(400)])
    scores = {
        ("blur", "grad-cam", "ssim"): made(draw, maps, noisy=maps),
        ("blur", TOP_PROBABILITY, "change"): made(draw, 0.5),
    }
    everywhere = np.ones(400, dtype=bool)
    rows, curves, (sentence,) = detection({"fgsm": scores}, CASES, items, {"fgsm": (everywhere, everywhere)})
    cam, control = rows
    assert verdict in sentence
    assert cam["auroc_low"] < norm.cdf(maps / 2**0.5) < cam["auroc_high"]
    assert cam["auroc_against_noise"] == pytest.approx(0.5, abs=0.08)
    assert cam["gain"] == pytest.approx(cam["auroc"] - control["auroc"])
    assert control["gain"] is None
    assert cam["fpr"] == pytest.approx(0.05, abs=0.05)
    assert cam["tpr"] == pytest.approx(norm.sf(1.645 - maps), abs=0.12)
    assert len(curves) == 2 * 51


def test_only_what_was_misclassified_has_to_be_found():
    draw, items = np.random.default_rng(2), pd.Index([f"{n}.png" for n in range(40)])
    lost = np.arange(40) < 10
    scores = {("blur", "ig", "ssim"): made(draw, 1.0, count=40)}
    (row,), _, sentences = detection({"fgsm": scores}, CASES, items, {"fgsm": (np.ones(40, dtype=bool), lost)})
    assert (row["adversarial"], row["clean"], sentences) == (10, 40, [])


def test_halves_do_not_depend_on_the_order():
    items = pd.Index([f"{n}.png" for n in range(100)])
    assert half_of(items)[::-1].tolist() == half_of(items[::-1]).tolist()
    assert 30 < half_of(items).sum() < 70
