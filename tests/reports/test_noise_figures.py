"""The figures of a noise search, from a table made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from advcli.core.records import NoiseRecord
from advcli.reports.noise_figures import COLUMNS, entropy, summarize_noise, wilson
from advcli.reports.tables import read_table, write_parquet

SIZES = {"plain": (8, 8), "robust": (8, 8), "large": (16, 16)}
CASES = {
    "uniform": {"model": "plain", "noise": "uniform"},
    "uniform-robust": {"model": "robust", "noise": "uniform"},
    "uniform-large": {"model": "large", "noise": "uniform"},
}


def block(case, first, probabilities, classes, sought=None):
    """Make a record whose hits are the probabilities of 0.9 and more."""
    hits = [name for value, name in zip(probabilities, classes, strict=True) if value >= 0.9]
    return NoiseRecord(
        item=f"attempts-{first:07}" + ("" if sought is None else f"-{sought}"),
        case=case,
        **CASES[case],
        first=first,
        attempts=len(probabilities),
        sought=sought,
        hits=len(hits),
        hits_by_class={name: hits.count(name) for name in dict.fromkeys(hits)},
        classes={name: classes.count(name) for name in dict.fromkeys(classes)},
        probabilities=tuple(probabilities),
        max_logits=(1.0,) * len(probabilities),
        energies=(-2.0,) * len(probabilities),
        forward_passes=None if sought is None else 4,
    )


@pytest.fixture
def figures(tmp_path):
    def summarize(records):
        path = tmp_path / "records.jsonl"
        path.write_text("".join(record.model_dump_json() + "\n" for record in records))
        write_parquet(path, tmp_path / "records.parquet", NoiseRecord)
        frame = read_table(tmp_path / "records.parquet", list(COLUMNS))
        assert isinstance(frame, pd.DataFrame)
        cases = {name: CASES[name] for name in dict.fromkeys(record.case for record in records)}
        return summarize_noise(frame, cases, SIZES, 0.9)

    return summarize


def test_blocks_add_up_and_the_interval_is_wilsons(figures):
    found = figures(
        [block("uniform", 0, [0.95, 0.5, 0.99], ["frog", "cat", "frog"]), block("uniform", 500, [0.91], ["cat"])]
    )
    (case,) = found.values["cases"]
    interval = binomtest(3, 4).proportion_ci(method="wilson")
    assert (case["attempts"], case["hits"], case["hit_rate"]) == (4, 3, 0.75)
    assert (case["hit_rate_low"], case["hit_rate_high"]) == (interval.low, interval.high)
    assert case["hits_by_class"] == {"frog": 2, "cat": 1}
    assert case["mostly"] == "frog 67 %, cat 33 %"
    assert case["class_entropy"] == 1
    assert case["hit_class_entropy"] == pytest.approx(entropy([2, 1]))
    assert found.values["hits"] == 3
    assert found.values["blocks"] == 2
    assert found.probabilities["uniform"].tolist() == [0.95, 0.5, 0.99, 0.91]
    rates = {row["threshold"]: row["rate"] for row in found.tables["thresholds"]}
    assert (rates[0.5], rates[0.9], rates[0.95], rates[0.999]) == (1, 0.75, 0.5, 0)
    json.dumps(found.values)


def test_a_block_that_a_later_call_completed_counts_once(figures):
    found = figures([block("uniform", 0, [0.95], ["cat"]), block("uniform", 0, [0.95, 0.1], ["cat", "cat"]).model_copy(
        update={"item": "attempts-0000000-2"})])  # fmt: skip
    assert (found.values["attempts"], found.values["hits"]) == (2, 1)


def test_models_are_compared_on_the_pictures_that_both_saw(figures):
    found = figures(
        [
            block("uniform", 0, [0.95, 0.95, 0.95, 0.1], ["cat"] * 4),
            block("uniform-robust", 0, [0.95, 0.1, 0.1, 0.1], ["cat"] * 4),
            block("uniform", 500, [0.95], ["cat"]),
            block("uniform-large", 0, [0.95, 0.1, 0.1, 0.1], ["cat"] * 4),
        ]
    )
    (row,) = found.values["comparisons"]
    assert (row["model"], row["against"], row["attempts"]) == ("robust", "plain", 4)
    assert (row["hits"], row["hits_against"], row["hits_of_both"]) == (1, 3, 1)
    assert row["p_value"] == 0.5
    assert row["reduction"] == pytest.approx(2 / 3)
    assert row["reduction_low"] < 2 / 3 < row["reduction_high"]
    assert [one["model"] for one in found.values["models"]] == ["plain", "robust", "large"]


def test_climbs_are_no_noise(figures):
    found = figures([block("uniform", 0, [0.1], ["cat"]), block("uniform", 0, [0.95], ["dog"], sought="dog")])
    (case,) = found.values["cases"]
    assert (case["hits"], case["fooling_images"], case["classes_fooled"]) == (0, 1, 1)
    assert found.tables["fooling"] == [
        {"case": "uniform", "class": "dog", "climbs": 1, "found": 1, "median_passes": 4.0}
    ]


def test_entropy_is_in_bits():
    assert entropy([]) is None
    assert entropy([5]) == 0
    assert entropy([3, 3, 3, 3]) == 2


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 10), (10, 10), (4960, 10000)])
def test_the_wilson_interval_is_its_closed_form(hits, count):
    z, share = 1.959963984540054, hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    spread = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    found = wilson("rate", hits, count)
    assert found["rate_low"] == pytest.approx(middle - spread, abs=1e-12)
    assert found["rate_high"] == pytest.approx(middle + spread, abs=1e-12)
