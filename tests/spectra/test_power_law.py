"""Tails with a known exponent are found again, as weightwatcher finds them."""

import numpy as np
import pytest

from advcli.spectra.power_law import fit_tail


def slow_fit(values):
    """The definition, without any bound: every tail in full."""
    values = np.sort(values)
    best = (np.inf, None)
    for place in range(len(values) - 1):
        tail = values[place:]
        alpha = 1 + len(tail) / np.sum(np.log(tail / tail[0]))
        if alpha > 1:
            law = 1 - (tail / tail[0]) ** (1 - alpha)
            best = min(best, (np.abs(law - np.arange(len(tail)) / len(tail)).max(), (alpha, tail[0])))
    return best


@pytest.mark.parametrize("alpha", [1.7, 2.5, 3.5, 5.0])
def test_a_pareto_tail_is_recovered_within_its_error(random, alpha):
    values = (1 - random.random(4000)) ** (-1 / (alpha - 1))
    found = fit_tail(values)
    assert abs(found.alpha - alpha) < 3 * found.sigma
    assert found.sigma == pytest.approx((found.alpha - 1) / np.sqrt(found.tail))


def test_the_tail_begins_where_it_was_put(random):
    tail = 2.0 * (1 - random.random(2000)) ** (-1 / 1.5)
    found = fit_tail(np.concatenate([random.uniform(0.1, 2.0, 2000), tail]))
    assert found.xmin == pytest.approx(2.0, rel=0.15)
    assert found.alpha == pytest.approx(2.5, abs=0.2)


@pytest.mark.parametrize("count", [25, 60, 300])
def test_the_quick_search_finds_the_tail_that_the_full_one_does(random, count):
    for _ in range(5):
        values = random.lognormal(size=count)
        distance, (alpha, xmin) = slow_fit(values)
        found = fit_tail(values)
        assert (found.distance, found.alpha, found.xmin) == pytest.approx((distance, alpha, xmin), rel=1e-9)


@pytest.mark.parametrize("values", [np.ones(100), np.zeros(50), np.array([]), np.array([1.0])])
def test_what_has_no_tail_has_no_fit(values):
    assert fit_tail(values) is None


def test_the_order_and_what_counts_as_zero_do_not_matter(random):
    values = random.lognormal(size=100)
    assert fit_tail(values) == fit_tail(np.concatenate([[0.0, 1e-7], random.permutation(values)]))
