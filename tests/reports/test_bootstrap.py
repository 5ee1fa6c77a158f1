"""Bootstrap intervals and tests: agreement with scipy, coverage by simulation, closed forms of Holm's correction."""

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_rel

from advcli.reports.bootstrap import FEWEST, holm, mean_intervals, p_values


def test_the_mean_passes_over_what_is_undefined_and_counts_it():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    found = mean_intervals(values)
    assert found.row(0) == {"n": 2, "undefined": 1, "mean": 2.0, "low": None, "high": None}
    assert found.row(1) == {"n": 1, "undefined": 2, "mean": 5.0, "low": None, "high": None}
    assert mean_intervals(values[2:]).row(0) == {"n": 0, "undefined": 1, "mean": None, "low": None, "high": None}


def test_intervals_of_many_images_are_those_of_scipy():
    values = np.random.default_rng(0).beta(2, 5, 400)
    found = mean_intervals(values[:, None], resamples=10_000).row(0)
    reference = bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
    width = reference.high - reference.low
    assert found["low"] == pytest.approx(reference.low, abs=0.03 * width)
    assert found["high"] == pytest.approx(reference.high, abs=0.03 * width)


@pytest.mark.parametrize("size", [FEWEST, 30])
@pytest.mark.parametrize("shape", ["normal", "bounded"])
def test_intervals_cover_the_mean_as_often_as_they_say(size, shape):
    draw = np.random.default_rng(size)
    trials = 600
    values, mean = {
        "normal": (draw.normal(0.3, 0.2, (size, trials)), 0.3),
        "bounded": (draw.beta(4, 2, (size, trials)), 4 / 6),
    }[shape]
    found = mean_intervals(values)
    covered = np.mean((found.low <= mean) & (mean <= found.high))
    assert 0.92 <= covered <= 0.98


def test_equal_values_have_an_interval_of_no_width():
    found = mean_intervals(np.full((20, 1), 0.25)).row(0)
    assert (found["low"], found["mean"], found["high"]) == (0.25, 0.25, 0.25)


def test_columns_do_not_depend_on_one_another_nor_on_the_block():
    values = np.random.default_rng(1).normal(size=(50, 3))
    assert mean_intervals(values).row(2) == mean_intervals(values[:, 2:]).row(0)


def test_paired_tests_are_those_of_scipy():
    one, other = np.random.default_rng(2).normal(size=(2, 40))
    gaps = np.stack([one - other, np.zeros(40), np.full(40, np.nan)], axis=1)
    found = p_values(gaps)
    assert found[0] == pytest.approx(ttest_rel(one, other).pvalue)
    assert found[1] == 1
    assert np.isnan(found[2])


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, np.nan, 0.6])) == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)
    assert len(holm(np.array([]))) == 0
