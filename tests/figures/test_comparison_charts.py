"""Charts of comparisons: which there are, and that they name what they show."""

import re

import pytest

from advcli.figures.comparison_charts import comparison_charts


def row(eps=4 / 255, method="grad-cam", metric="spearman", target="none", after="same", mean=0.4, **other):
    case = {"case": f"fgsm-{eps}", "model": "net", "attack": "fgsm", "eps": eps, "target": target, "method": method}
    told = {"score": "logit", "after": after, "misclassified": None, "metric": metric, "n": 20}
    return {**case, **told, "mean": mean, "low": mean - 0.1, "high": mean + 0.1, "floor_noise": 0.8, **other}


METRICS = ("spearman", "ssim", "hog")


def texts(svg):
    return set(re.findall(r">([^<>]+)</text>", svg.decode()))


def test_several_eps_make_a_line_for_each_explanation():
    rows = [row(eps / 255, method, metric) for eps in (1, 2, 8) for method in ("grad-cam", "ig") for metric in METRICS]
    charts = comparison_charts(rows, {"fgsm-": "linf"})
    assert list(charts) == ["maps-against-eps-fgsm"]
    assert {"Spearman", "SSIM", "grad-cam", "ig", "noise of equal norms"} <= texts(charts["maps-against-eps-fgsm"])


def test_class_policies_have_charts_of_their_own():
    rows = [row(eps / 255, after=after) for eps in (1, 2) for after in ("same", "own")]
    assert list(comparison_charts(rows, {})) == ["maps-against-eps-fgsm-same", "maps-against-eps-fgsm-own"]


def test_several_targets_make_bars():
    rows = [row(metric=metric, target=target) for metric in METRICS for target in ("cat", "dog", "ship")]
    charts = comparison_charts(rows, {})
    assert list(charts) == ["maps-by-target-fgsm-4_255"]
    assert {"cat", "dog", "ship", "grad-cam"} <= texts(charts["maps-by-target-fgsm-4_255"])


@pytest.mark.parametrize("undefined", [{"n": 0, "mean": None, "low": None, "high": None, "floor_noise": None}])
def test_what_is_undefined_leaves_a_gap(undefined):
    rows = [row(1 / 255), {**row(2 / 255), **undefined}, row(4 / 255, target="none")]
    assert comparison_charts(rows, {})
    bars = [{**row(target=target), **undefined} for target in ("cat", "dog")]
    assert comparison_charts(bars, {})


def test_one_eps_and_no_target_make_no_chart():
    assert comparison_charts([row(metric=metric) for metric in METRICS], {}) == {}
    assert comparison_charts([{**row(eps / 255), "misclassified": True} for eps in (1, 2)], {}) == {}
