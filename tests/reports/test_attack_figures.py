"""Figures of attacks, worked out by hand on frames of a few images."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from advcli.reports.attack_figures import COLUMNS, summarize_attacks

FIRST, SECOND = {"model": "a", "method": "pgd", "eps": 0.1}, {"model": "a", "method": "fgsm", "eps": 0.1}
FACTS = {
    "case": "one",
    "status": "ok",
    "label": "cat",
    "label_source": "folder",
    "prediction": "cat",
    "target": None,
    "eps": 0.1,
    "adversarial_prediction": "cat",
    "misclassified": False,
    "misclassified_as_saved": False,
    "target_reached": None,
    "forward_passes": 10,
    "backward_passes": 9,
    "verification_passes": 1,
    "l2": 0.0,
    "linf": 0.0,
    "l1": 0.0,
    "l0": 0,
}


def line(item: str, **fields: object) -> dict[str, object]:
    return {"item": item, **FACTS, **fields}


def lost(item: str, l2: float = 1.0, **fields: object) -> dict[str, object]:
    facts = {"misclassified": True, "misclassified_as_saved": True, "adversarial_prediction": "dog"}
    return line(item, **{**facts, "l2": l2, "linf": l2 / 10, "l1": 10 * l2, "l0": 5, **fields})


def error(item: str) -> dict[str, object]:
    return {**dict.fromkeys(COLUMNS), "item": item, "status": "error"}


def figures(lines, cases=None, **options):
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return summarize_attacks(frame, cases or {"one": FIRST}, **options)


def test_an_accuracy_counts_images_that_are_right_and_stay_right():
    values = figures(
        [
            line("holds"),
            lost("falls"),
            lost("falls only as floats", misclassified_as_saved=False),
            lost("already wrong", prediction="dog"),
            line("wrong, and right by accident", prediction="dog"),
            error("broken"),
        ]
    ).values
    assert (values["images"], values["errors"], values["labelled"]) == (6, 1, 5)
    assert values["clean_accuracy"] == 3 / 5
    assert values["robust_accuracy"] == 1 / 5
    assert values["robust_accuracy_as_saved"] == 2 / 5
    assert values["attacked"] == 3
    assert values["attack_success_rate"] == 2 / 3


def test_intervals_are_those_of_clopper_and_pearson():
    values = figures([line("a"), line("b"), lost("c")]).values
    assert values["robust_accuracy_low"] == pytest.approx(beta.ppf(0.025, 2, 2))
    assert values["robust_accuracy_high"] == pytest.approx(beta.ppf(0.975, 3, 1))
    assert values["clean_accuracy_high"] == 1
    assert values["clean_accuracy_low"] == pytest.approx(0.025 ** (1 / 3))


def test_without_labels_the_figure_is_that_of_unchanged_predictions():
    lines = [line("a", label_source="predicted"), lost("b", label_source="predicted", misclassified_as_saved=False)]
    values = figures(lines).values
    assert values["unchanged_predictions"] == 0.5
    assert values["unchanged_predictions_as_saved"] == 1
    assert values["labelled"] == 0
    assert not {"clean_accuracy", "robust_accuracy"} & set(values)


def test_images_with_and_without_labels_are_counted_apart():
    values = figures([line("a"), lost("b", label_source="predicted")]).values
    assert (values["clean_accuracy"], values["robust_accuracy"], values["unchanged_predictions"]) == (1, 1, 0)
    assert values["attack_success_rate"] == 0.5


def test_distances_are_medians_of_successes_and_passes_means_of_what_was_attacked():
    values = figures(
        [
            line("holds", l2=9.0, forward_passes=30),
            lost("a", 1.0),
            lost("b", 2.0),
            lost("c", 5.0, forward_passes=20, backward_passes=0),
            lost("already wrong", 0.0, prediction="dog", forward_passes=0),
        ]
    ).values
    assert values["median_l2"] == 2.0
    assert values["median_linf"] == pytest.approx(0.2)
    assert values["median_l1"] == 20
    assert values["median_l0"] == 5
    assert values["forward_passes_per_image"] == (30 + 10 + 10 + 20) / 4
    assert values["backward_passes_per_image"] == (9 + 9 + 9) / 4
    assert values["verification_passes_per_image"] == 1


def test_what_does_not_exist_is_none():
    values = figures([line("a")]).values
    assert values["median_l2"] is None
    values = figures([error("broken")]).values
    assert (values["images"], values["errors"], values["attack_success_rate"]) == (1, 1, None)
    assert figures([]).values["cases"][0]["case"] == "one"


def test_a_targeted_attack_succeeds_at_its_target_and_robustness_is_still_about_the_label():
    lines = [
        lost("reached", 3.0, target="dog", target_reached=True),
        lost("elsewhere", 1.0, target="dog", target_reached=False, adversarial_prediction="frog"),
        line("held", target="dog", target_reached=False),
        line("there before", prediction="dog", target="dog", target_reached=True, misclassified=True),
        line("not to be attacked", label="dog", prediction="dog", status="not-applicable", target="dog")
        | dict.fromkeys(("misclassified", "misclassified_as_saved", "forward_passes", "adversarial_prediction")),
    ]
    values = figures(lines).values
    assert values["clean_accuracy"] == 4 / 5, "an image whose case is not applicable stays in the clean accuracy"
    assert values["robust_accuracy"] == 2 / 5, "and nothing was done to it"
    assert values["attacked"] == 3
    assert values["attack_success_rate"] == 1 / 3
    assert values["median_l2"] == 3.0


def test_the_worst_case_over_cases_stands_on_top():
    cases = {"one": FIRST, "two": SECOND}
    found = figures(
        [
            line("a"),
            lost("a", case="two", l2=4.0),
            lost("b", l2=2.0),
            lost("b", case="two", l2=1.0, linf=0.9),
            line("c"),
            line("c", case="two"),
        ],
        cases,
    )
    assert found.values["robust_accuracy"] == 1 / 3
    assert [row["robust_accuracy"] for row in found.values["cases"]] == [2 / 3, 1 / 3]
    assert [row["case"] for row in found.values["cases"]] == ["one", "two"]
    assert found.values["cases"][1]["method"] == "fgsm"
    assert found.values["median_l2"] == (4.0 + 1.0) / 2
    assert found.values["median_linf"] == pytest.approx((0.4 + 0.2) / 2), "each distance is the nearest in its own norm"
    assert found.values["forward_passes_per_image"] == 20


def test_the_nearest_of_a_targeted_worst_case_reached_its_target():
    cases = {"one": FIRST, "two": SECOND}
    found = figures(
        [
            lost("a", 0.7, target="dog", target_reached=False),
            lost("a", 0.9, case="two", target="dog", target_reached=True),
        ],
        cases,
    )
    assert found.values["median_l2"] == 0.9


def test_several_models_have_a_worst_case_each():
    cases = {"one": FIRST, "two": {**FIRST, "model": "b"}}
    values = figures([line("a"), lost("a", case="two", prediction="cat")], cases).values
    assert [(row["model"], row["robust_accuracy"]) for row in values["models"]] == [("a", 1.0), ("b", 0.0)]
    assert "robust_accuracy" not in values


def test_records_of_cases_that_are_not_asked_for_stand_in_no_figure():
    values = figures([line("a"), lost("a", case="other")]).values
    assert values["robust_accuracy"] == 1
    assert values["images"] == 1


def test_a_case_that_failed_for_an_image_is_an_error_and_no_result():
    failed = {**dict.fromkeys(COLUMNS), "item": "a", "status": "error", "case": "two"}
    values = figures([line("a"), failed], {"one": FIRST, "two": SECOND}).values
    assert (values["images"], values["errors"], values["labelled"]) == (1, 1, 1)
    assert values["robust_accuracy"] == 1
    assert values["cases"][1]["clean_accuracy"] is None


def test_classes_and_what_they_became_are_tables():
    lines = [line("a"), lost("b"), lost("c"), line("d", label="dog", prediction="cat", misclassified=True)]
    tables = figures(lines).tables
    assert [(row["label"], row["images"], row["robust_accuracy"]) for row in tables["labels"]] == [
        ("cat", 3, 1 / 3),
        ("dog", 1, 0.0),
    ]
    assert [tuple(row.values()) for row in tables["predictions"]] == [
        ("one", "cat", "cat", "cat", 1),
        ("one", "cat", "cat", "dog", 2),
        ("one", "dog", "cat", "cat", 1),
    ]
    assert tables["cases"][0]["eps"] == 0.1


def test_the_smallest_eps_has_a_median_and_quartiles_in_which_the_unbroken_count_as_infinite():
    lines = [lost(name, eps=eps) for name, eps in (("a", 0.1), ("b", 0.2), ("c", 0.3))] + [line("d", eps=1.0)]
    found = figures(lines, min_eps=True)
    assert found.values["median_min_eps"] == 0.2
    assert found.values["min_eps_quartile_1"] == 0.1
    assert found.values["min_eps_quartile_3"] == 0.3
    assert sorted(found.series["min_eps"]["one"]) == [0.1, 0.2, 0.3, np.inf]
    assert figures([line("d"), lost("a")], min_eps=True).values["min_eps_quartile_3"] is None


def test_series_hold_the_passes_of_what_was_attacked():
    found = figures([line("a", forward_passes=7), lost("b", forward_passes=0, prediction="dog")])
    assert found.series["passes"]["one"].tolist() == [7]


def test_figures_do_not_depend_on_the_order_of_the_records():
    lines = [lost(str(n), 0.1 * n) if n % 3 else line(str(n)) for n in range(20)]
    assert figures(lines).values == figures(lines[::-1]).values
