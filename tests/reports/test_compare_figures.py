"""The figures of a comparison: by outcome, with floors and ceiling, by method, and tested in pairs."""

import numpy as np
import pytest

from advcli.core.records import CompareRecord, SimilarityRow
from advcli.reports.compare_figures import COLUMNS, summarize_comparisons
from advcli.reports.tables import read_table, write_long_similarity, write_parquet

AXES = {"model": "cifar10-resnet20", "method": "pgd", "eps": 8 / 255, "target_rule": "none", "settings": {}}
CASES = {"pgd-8_255": AXES}


def alike(value, metric="ssim", explanation="ig", floor=0.7):
    return SimilarityRow(
        explanation=explanation, score="logit", after="same", metric=metric, value=value, floor_noise=floor
    )


@pytest.fixture
def summarized(tmp_path, write_ledger):
    """Take records to disk and back, as a run does."""

    def made(records, cases=CASES, **options):
        ledger = write_ledger(tmp_path, records)
        write_parquet(ledger, tmp_path / "records.parquet", CompareRecord)
        write_long_similarity(ledger, tmp_path / "similarity.parquet")
        frame = read_table(tmp_path / "records.parquet", list(COLUMNS))
        return summarize_comparisons(frame, cases, tmp_path / "similarity.parquet", **options)

    return made


def test_similarity_is_summarized_by_outcome_and_measure(summarized, record, broken):
    values = [0.2, 0.4, 0.9]
    records = [record(f"{n}.png", similarity=(alike(one), alike(None, "hog"))) for n, one in enumerate(values)]
    records += [
        record("held", misclassified=False, misclassified_as_saved=False, similarity=(alike(0.99, floor=0.1),)),
        record("wrong before", prediction="dog", similarity=(alike(1.0),)),
        broken(),
    ]
    floors = [
        {"model": AXES["model"], "method": "ig", "score": "logit", "metric": "ssim", "kind": kind, "mean": mean}
        for kind, mean in (("shuffled", 0.05), ("rerun", 1.0))
    ]
    rows = summarized(records, floors=floors).tables["similarity"]
    found = {(row["misclassified"], row["metric"]): row for row in rows}
    assert list(found) == [(None, "ssim"), (None, "hog"), (True, "ssim"), (True, "hog"), (False, "ssim")]
    lost = found[True, "ssim"]
    assert (lost["case"], lost["attack"], lost["method"], lost["n"]) == ("pgd-8_255", "pgd", "ig", 3)
    assert lost["mean"] == pytest.approx(0.5)
    assert (lost["low"], lost["floor_shuffled"], lost["ceiling"]) == (None, 0.05, 1.0)
    assert lost["floor_noise"] == pytest.approx(0.7)
    assert found[None, "ssim"]["mean"] == pytest.approx(np.mean([*values, 0.99]))
    assert found[None, "ssim"]["floor_noise"] == pytest.approx((3 * 0.7 + 0.1) / 4)
    assert (found[True, "hog"]["n"], found[True, "hog"]["undefined"], found[True, "hog"]["mean"]) == (0, 3, None)


def test_few_images_are_said_to_be_too_few(summarized, record):
    (few, undefined) = summarized([record("a", similarity=(alike(0.5), alike(None, "hog")))]).values["notes"]
    assert "n is too small, down to 1" in few
    assert undefined.startswith("1 of 2 values are undefined")


def test_a_comparison_without_a_single_similarity_has_an_empty_table(summarized, record, broken):
    for records in ([broken()], [record(similarity=())], []):
        assert summarized(records).tables["similarity"] == []


def test_methods_are_averaged_over_the_cases_of_an_attack_and_tested_on_the_same_images(summarized, record):
    draw = np.random.default_rng(0)
    first, second = draw.normal(0.2, 0.1, (2, 2, 30))
    cases = {"a": AXES, "b": {**AXES, "eps": 4 / 255}}
    records = [
        record(
            f"{n:02}.png",
            case,
            similarity=(
                alike(first[place, n], "spearman", "cam"),
                alike(first[place, n] - 0.1 + 0.01 * second[place, n], "spearman", "ig"),
            ),
        )
        for n in range(30)
        for place, case in enumerate(cases)
    ]
    tables = summarized(records, cases).tables
    cam, ig = tables["methods"]
    assert (cam["method"], cam["cases"], cam["n"]) == ("cam", 2, 30)
    assert cam["mean"] == pytest.approx(first.mean(), abs=1e-6)
    assert cam["low"] < cam["mean"] < cam["high"]
    (test,) = tables["method_tests"]
    assert (test["first"], test["second"], test["n"]) == ("cam", "ig", 30)
    assert test["mean"] == pytest.approx(cam["mean"] - ig["mean"], abs=1e-6)
    assert test["p_value"] == test["p_holm"] < 1e-6
