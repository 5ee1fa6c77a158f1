"""Signs of a weak attack over a run, worked out by hand."""

import numpy as np
import pandas as pd

from advcli.core.indicators import INDICATORS
from advcli.reports.diagnosis_figures import diagnosis
from advcli.runs.preflight import doubts


def rows(*lines):
    names = ("item", "case", "attacked", "success", "indicators", "noise")
    return pd.DataFrame([dict(zip(names, line, strict=True)) for line in lines])


def case(method):
    return {"model": "net", "method": method, "norm": "linf", "eps": 0.1, "target_rule": "none"}


def test_signs_of_images_that_withstood_are_counted():
    frame = rows(
        ("a", "pgd", True, False, ("zero-gradients", "black-box-wins"), 0.0),
        ("b", "pgd", True, False, ("zero-gradients",), 0.0),
        ("c", "pgd", True, True, (), 0.0),
        ("d", "pgd", False, False, ("zero-gradients",), np.nan),
    )
    found = {row["indicator"]: (row["images"], row["of"]) for row in diagnosis(frame, {"pgd": case("pgd")})}
    assert found == {"zero-gradients": (2, 2), "black-box-wins": (1, 2)}


def test_random_noise_that_does_as_well_as_the_attack_is_a_sign():
    frame = rows(*[(str(n), "pgd", True, n < 5, (), float(n < 4)) for n in range(10)])
    (row,) = diagnosis(frame, {"pgd": case("pgd")})
    assert (row["indicator"], row["images"], row["of"]) == ("noise-as-good", 4, 10)
    frame = rows(*[(str(n), "pgd", True, n < 5, (), float(n < 3)) for n in range(10)])
    assert diagnosis(frame, {"pgd": case("pgd")}) == []


def test_a_weaker_attack_of_the_run_that_succeeds_where_a_stronger_one_fails_is_a_sign():
    frame = rows(
        ("a", "pgd", True, False, (), np.nan), ("b", "pgd", True, True, (), np.nan),
        ("a", "fgsm", True, True, (), np.nan), ("b", "fgsm", True, False, (), np.nan),
        ("a", "square", True, True, (), np.nan), ("b", "square", True, True, (), np.nan),
    )  # fmt: skip
    found = diagnosis(frame, {name: case(name) for name in ("pgd", "fgsm", "square")})
    assert {(row["case"], row["indicator"], row["images"]) for row in found} == {
        ("pgd", "one-step-wins", 1), ("pgd", "black-box-wins", 1),
    }  # fmt: skip
    other = {"pgd": case("pgd"), "fgsm": {**case("fgsm"), "eps": 0.2}, "square": {**case("square"), "norm": "l2"}}
    assert diagnosis(frame, other) == []


def test_points_made_for_another_network_that_do_better_are_a_sign():
    frame = rows(("a", "pgd", True, False, (), np.nan), ("a", "transfer", True, True, (), np.nan))
    (row,) = diagnosis(frame, {name: case(name) for name in ("pgd", "transfer")})
    assert (row["case"], row["indicator"], row["images"], row["of"]) == ("pgd", "transfer-wins", 1, 1)


def test_a_sign_is_told_as_a_warning_with_what_to_do():
    frame = rows(("a", "pgd", True, False, ("zero-gradients",), 0.0))
    (warning,) = doubts({"diagnosis": diagnosis(frame, {"pgd": case("pgd")})}, [])
    assert warning.startswith("pgd: 1 of 1 images have a gradient of exactly zero; ")
    assert INDICATORS["zero-gradients"].advice in warning
