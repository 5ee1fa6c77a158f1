"""Paired comparisons against closed forms."""

from math import comb

import numpy as np
import pytest

from advcli.reports.paired import mcnemar, ratio


@pytest.mark.parametrize(("one", "other"), [(0, 5), (1, 9), (3, 12), (40, 22)])
def test_mcnemar_is_twice_the_binomial_tail(one, other):
    few, total = min(one, other), one + other
    tail = sum(comb(total, k) for k in range(few + 1)) / 2**total
    assert mcnemar(one, other) == pytest.approx(2 * tail)
    assert mcnemar(other, one) == mcnemar(one, other)


def test_models_that_agree_do_not_differ():
    assert mcnemar(0, 0) == 1
    assert mcnemar(7, 7) == 1


def test_exchanging_the_models_inverts_the_ratio():
    value, low, high = ratio(30, 20, 5)
    assert value == 35 / 50
    assert low < value < high
    assert ratio(30, 5, 20) == pytest.approx((1 / value, 1 / high, 1 / low))


def test_more_pictures_narrow_the_interval():
    _, low, high = ratio(30, 20, 5)
    _, lower, higher = ratio(3000, 2000, 500)
    assert low < lower < higher < high


def test_without_a_hit_of_the_first_there_is_no_ratio():
    assert ratio(0, 0, 5) is None
    assert ratio(0, 5, 0)[0] == 0


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Cells 0.10 both, 0.15 first alone, 0.05 second alone: the ratio is 0.6."""
    counts = np.random.default_rng(0).multinomial(150, [0.10, 0.15, 0.05, 0.70], 1000)
    inside = [low <= 0.6 <= high for both, one, other, _ in counts for _, low, high in [ratio(both, one, other)]]
    assert 0.93 <= np.mean(inside) <= 0.985
