"""Intervals of rates and means against closed forms and scipy."""

import pytest
from scipy.stats import binom, binomtest
from scipy.stats import t as student

from advcli.metrics.intervals import clopper_pearson, mean_interval


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 508, 0.0, 0.00724), (508, 508, 0.99276, 1.0), (5, 10, 0.18709, 0.81291), (0, 0, 0.0, 1.0), (1, 1, 0.025, 1.0)],
)
def test_known_bounds(hits, count, low, high):
    assert clopper_pearson(hits, count) == pytest.approx((low, high), abs=1e-5)


def test_none_of_n_has_a_closed_form():
    assert clopper_pearson(0, 508)[1] == pytest.approx(1 - 0.025 ** (1 / 508))


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("hits", "count"), [(1, 7), (3, 40), (39, 40), (463, 508)])
def test_agrees_with_scipy(hits, count, confidence):
    expected = binomtest(hits, count).proportion_ci(confidence, method="exact")
    assert clopper_pearson(hits, count, confidence) == pytest.approx((expected.low, expected.high))


def test_the_bounds_are_the_rates_at_which_the_count_becomes_a_surprise():
    low, high = clopper_pearson(37, 100)
    assert binom.sf(36, 100, low) == pytest.approx(0.025)
    assert binom.cdf(37, 100, high) == pytest.approx(0.025)


def test_a_mean_is_bounded_by_student():
    values = [0.1, 0.4, 0.35, 0.8]
    mean = sum(values) / 4
    squares = sum((value - mean) ** 2 for value in values)
    expected = student.interval(0.95, 3, loc=mean, scale=(squares / 3 / 4) ** 0.5)
    assert mean_interval(mean, squares, 4) == pytest.approx(expected)
