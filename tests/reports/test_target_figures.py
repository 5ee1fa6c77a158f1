"""Attacks by their target, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advcli.reports.attack_figures import COLUMNS, summarize_attacks
from advcli.reports.paired import difference, mean_difference
from advcli.reports.target_figures import families

AXES = {"model": "net", "method": "pgd", "settings": {"steps": 3}, "norm": "linf", "eps": 0.1}


def cases(*targets):
    return {("pgd" if target == "none" else f"pgd-{target}"): {**AXES, "target_rule": target} for target in targets}


def line(item, rule, target, *, success, label="cat", passes=4, l2=1.0, status="ok"):
    return dict.fromkeys(COLUMNS) | {
        "item": item, "case": "pgd" if rule == "none" else f"pgd-{rule}", "status": status, "label": label,
        "label_source": "folder", "prediction": label, "target": target, "eps": 0.1, "adversarial_prediction": target,
        "misclassified": success, "misclassified_as_saved": success,
        "target_reached": None if target is None else success, "forward_passes": passes, "backward_passes": passes - 1,
        "verification_passes": 1, "l2": l2, "linf": 0.1, "l1": 1.0, "l0": 1, "ssim": 0.9,
    }  # fmt: skip


def values(lines, *targets):
    return summarize_attacks(pd.DataFrame(lines, columns=list(COLUMNS)), cases(*targets)).values


def test_the_matrix_counts_class_against_class():
    lines = [
        line("a", "dog", "dog", success=True, passes=2, l2=2.0),
        line("b", "dog", "dog", success=False, passes=10),
        line("c", "dog", "dog", success=False, label="dog", status="not-applicable"),
        line("c", "cat", "cat", success=True, label="dog", passes=6),
    ]
    found = {(row["source"], row["target"]): row for row in values(lines, "dog", "cat")["targets"]}
    assert set(found) == {("cat", "dog"), ("dog", "cat")}
    row = found["cat", "dog"]
    assert (row["attack"], row["attacked"], row["attack_success_rate"]) == ("pgd", 2, 0.5)
    assert (row["forward_passes_per_image"], row["backward_passes_per_image"], row["median_l2"]) == (6, 5, 2.0)
    assert found["dog", "cat"]["forward_passes_per_image"] == 6


def test_strategies_are_compared_on_the_images_that_all_of_them_attacked():
    lines = [line(item, "second", "dog", success=True, passes=2, l2=1.0) for item in "abc"]
    lines += [line("a", "least", "ship", success=True, passes=8, l2=3.0), line("b", "least", "ship", success=False)]
    summary = values(lines, "second", "least")
    second, least = summary["strategies"]
    assert (second["target"], second["images"], least["images"]) == ("second", 2, 2)
    assert (second["attack_success_rate"], least["attack_success_rate"]) == (1.0, 0.5)
    assert least["median_forward_passes"] == 8
    gaps = {row["metric"]: row for row in summary["strategy_differences"]}
    assert (gaps["success"]["mean"], gaps["success"]["n"]) == (-0.5, 2)
    assert (gaps["l2"]["mean"], gaps["l2"]["n"]) == (2.0, 1)
    assert gaps["forward_passes"]["mean"] == 6
    assert {row["against"] for row in summary["strategy_differences"]} == {"second"}


def test_one_target_is_compared_with_nothing():
    summary = values([line("a", "second", "dog", success=True)], "second")
    assert not {"targets", "strategies", "strategy_differences"} & set(summary)


def test_a_family_is_called_after_what_its_cases_share():
    assert list(families(cases("none", "cat", "car"))) == ["pgd"]
    both = cases("cat") | {"pgd-dog-b": {**AXES, "model": "b", "target_rule": "dog"}}
    assert families(both) == {}


def test_a_mean_difference_has_students_interval():
    gaps = np.array([1.0, 2.0, 4.0, 4.5])
    mean, low, high = mean_difference(gaps)
    expected = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((gaps.mean(), expected.low, expected.high))
    assert mean_difference(gaps[:1]) == (1.0, None, None)
    assert mean_difference(gaps[:0]) == (None, None, None)


def test_the_interval_of_a_difference_of_rates_covers_what_it_should():
    generator = np.random.default_rng(0)
    truth, covered = 0.2, 0
    for first, second in generator.multinomial(60, [0.3, 0.1, 0.6], 400)[:, :2]:
        middle, low, high = difference(int(first), int(second), 60)
        assert low <= middle <= high
        covered += low <= truth <= high
    assert covered >= 0.93 * 400
    assert difference(0, 0, 0) == (None, None, None)
    assert difference(5, 0, 5)[2] == 1.0
