"""The figures of a noise search: how often noise is a hit, of which classes, how models compare on the same noise."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advcli.reports.paired import mcnemar, ratio
from advcli.reports.summaries import Cases, cases_of, input_counts, median, models_of, rate, usable

COLUMNS = (
    *("item", "case", "status", "first", "attempts", "sought", "hits", "hits_by_class", "classes", "kept"),
    *("probabilities", "max_logits", "energies", "temperature", "calibrated_hits", "forward_passes"),
)
FIGURES = ("blocks", "errors", "attempts", "hits", "hit_rate", "hit_rate_low", "hit_rate_high")
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
CURVE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)  # thresholds of the table
MOST = 3  # classes that a summary names in words
Values = NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class NoiseFigures:
    """The figures of a run.

    Args:
        values: of the summary.
        tables: by name, rows of a CSV file each.
        probabilities: case to the highest probability of each attempt, in the order of the attempts.
        classes: case to class to (pictures, hits), the most frequent first.
        kept: case to what was saved of pure noise, the surest first.
        fooling: case to what was made by climbing.
    """

    values: Mapping[str, object]
    tables: Mapping[str, Sequence[Mapping[str, object]]]
    probabilities: Mapping[str, Values]
    classes: Mapping[str, Mapping[str, tuple[int, int]]]
    kept: Mapping[str, Sequence[Row]]
    fooling: Mapping[str, Sequence[Row]]


def summarize_noise(
    frame: pd.DataFrame, cases: Cases, sizes: Mapping[str, tuple[int, int]], threshold: float
) -> NoiseFigures:
    """Summarize the records of a noise search.

    Args:
        frame: records with the columns ``COLUMNS``; dictionaries as one column for each key.
        cases: id to axes, in the order wanted.
        sizes: model to (height, width) of its input; models of one size have seen the same pictures.
        threshold: probability from which an answer is a hit.

    Returns:
        Values: the counts of the items; ``attempts``, ``hits``, ``hit_rate`` with its 95 % Wilson interval and
        ``hits_by_class`` of the worst case; with several models ``models`` with the same, and ``comparisons``; and
        ``cases``. Tables ``cases``, ``classes``, ``thresholds``, ``quantiles``, ``comparisons``, ``fooling``.
    """
    rows = usable(frame)
    ok = rows[rows["status"].astype(object).eq("ok").to_numpy(dtype=bool)]
    climbed = ok["sought"].notna().to_numpy(dtype=bool)
    pure, fooling = whole_blocks(ok[~climbed]), ok[climbed]
    per_case = cases_of(pure, cases, _figures)
    for row in per_case:
        row |= _fooling(fooling[fooling["case"].astype(object).eq(str(row["case"]))])
    series = {name: _values(group, "probabilities") for name, group in _by_case(pure, cases)}
    classes = {name: _classes(group) for name, group in _by_case(pure, cases)}
    comparisons = list(_comparisons(pure, cases, sizes, threshold))
    tables: dict[str, Sequence[Mapping[str, object]]] = {
        "cases": [{name: _text(value) for name, value in row.items()} for row in per_case],
        "classes": list(_class_rows(classes)),
        "thresholds": [
            {"case": name, "threshold": one, **wilson("rate", int((values >= one).sum()), len(values))}
            for name, values in series.items()
            for one in sorted({*CURVE, threshold})
        ],
        "quantiles": list(_quantile_rows(pure, cases)),
    }
    tables |= {"comparisons": comparisons} if comparisons else {}
    tables |= {"fooling": list(_fooling_rows(fooling))} if len(fooling) else {}
    values = {**input_counts(frame, "blocks"), **_worst(per_case)}
    models = [str(model) for model in models_of(cases)]
    if len(models) > 1:
        values["models"] = [
            {"model": model, **_worst([row for row in per_case if row.get("model") == model])} for model in models
        ]
        values["comparisons"] = comparisons
    kept = {name: _kept(group) for name, group in _by_case(pure, cases)}
    made = {name: _kept(group) for name, group in _by_case(fooling, cases)}
    return NoiseFigures({**values, "cases": per_case}, tables, series, classes, kept, made)


def wilson(name: str, hits: int, count: int) -> dict[str, float | None]:
    """Give a share with its 95 % Wilson interval, as ``rate`` does with the exact one.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    return rate(name, hits, count, method="wilson")


def entropy(counts: Sequence[int]) -> float | None:
    """Entropy of a distribution in bits: 0 for a single class, log2 K for K classes alike; none of nothing."""
    total = sum(counts)
    if not total:
        return None
    return abs(-sum(one / total * math.log2(one / total) for one in counts if one))


def whole_blocks(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep one block of each first attempt and case, the longest: a later call may have completed a shorter one."""
    ordered = rows.assign(
        first=pd.to_numeric(rows["first"]).astype("int64"), attempts=pd.to_numeric(rows["attempts"]).astype("int64")
    ).sort_values(["first", "attempts"], kind="stable")
    return ordered[~ordered.duplicated(["case", "first"], keep="last").to_numpy(dtype=bool)]


def _figures(rows: pd.DataFrame) -> Row:
    attempts, hits = int(rows["attempts"].sum()), int(pd.to_numeric(rows["hits"]).sum())
    classes = _classes(rows)
    by_class = {name: count for name, (_, count) in classes.items() if count}
    ranked = dict(sorted(by_class.items(), key=lambda one: -one[1]))
    said = [count for count, _ in classes.values()]
    shares = [f"{name} {100 * count / hits:.0f} %" for name, count in list(ranked.items())[:MOST]]
    return {
        "attempts": attempts,
        "hits": hits,
        **wilson("hit_rate", hits, attempts),
        "mostly": ", ".join(shares) or None,
        "hits_by_class": ranked,
        **_calibrated(rows, attempts),
        "hit_class_entropy": entropy(list(ranked.values())),
        "class_entropy": entropy(said),
        "median_probability": median(pd.Series(_values(rows, "probabilities"))),
        "median_max_logit": median(pd.Series(_values(rows, "max_logits"))),
        "median_energy": median(pd.Series(_values(rows, "energies"))),
    }


def _calibrated(rows: pd.DataFrame, attempts: int) -> Row:
    known = pd.to_numeric(rows["temperature"]).dropna()
    if known.empty:
        return {}
    hits = int(pd.to_numeric(rows["calibrated_hits"]).sum())
    return {**wilson("calibrated_hit_rate", hits, attempts), "temperature": float(known.iloc[0])}


def _fooling(rows: pd.DataFrame) -> Row:
    """How many classes could be climbed to, and at what cost."""
    if rows.empty:
        return {}
    found = rows[pd.to_numeric(rows["hits"]).gt(0).to_numpy(dtype=bool)]
    return {
        "fooling_images": len(found),
        "classes_sought": int(rows["sought"].astype(object).nunique()),
        "classes_fooled": int(found["sought"].astype(object).nunique()),
        "median_climb_passes": median(pd.to_numeric(found["forward_passes"])),
    }


def _worst(rows: Sequence[Row]) -> Row:
    """Figures of the case with the highest rate."""
    names = ("attempts", "hits", "hit_rate", "hit_rate_low", "hit_rate_high", "hits_by_class")
    known = [row for row in rows if row["hit_rate"] is not None]
    return {name: max(known, key=lambda row: row["hit_rate"])[name] for name in names} if known else {}


def _by_case(rows: pd.DataFrame, cases: Cases) -> Iterator[tuple[str, pd.DataFrame]]:
    column = rows["case"].astype(object)
    for name in cases:
        group = rows[column.eq(name).to_numpy(dtype=bool)]
        if len(group):
            yield name, group


def _values(rows: pd.DataFrame, column: str) -> Values:
    """Put the lists of some records together, in the order of the attempts."""
    parts = [np.asarray(one, np.float64) for one in rows[column]]
    return np.concatenate(parts) if parts else np.empty(0)


def _classes(rows: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Class to (pictures, hits), the most frequent first."""
    found = {}
    for column in rows.columns:
        kind, dot, name = str(column).partition(".")
        if kind == "classes" and dot:
            hits = f"hits_by_class.{name}"
            count = int(pd.to_numeric(rows[column]).sum())
            if count:
                found[name] = (count, int(pd.to_numeric(rows[hits]).sum()) if hits in rows else 0)
    return dict(sorted(found.items(), key=lambda one: (-one[1][0], one[0])))


def _class_rows(classes: Mapping[str, Mapping[str, tuple[int, int]]]) -> Iterator[Row]:
    for case, counts in classes.items():
        attempts, hits = (sum(one[place] for one in counts.values()) for place in (0, 1))
        for name, (said, hit) in counts.items():
            yield {
                "case": case,
                "class": name,
                "pictures": said,
                "share": said / attempts,
                "hits": hit,
                "share_of_hits": hit / hits if hits else None,
            }


def _quantile_rows(rows: pd.DataFrame, cases: Cases) -> Iterator[Row]:
    for name, group in _by_case(rows, cases):
        for column, figure in (("probabilities", "probability"), ("max_logits", "max_logit"), ("energies", "energy")):
            found = np.quantile(_values(group, column), QUANTILES)
            row = {f"q{100 * share:g}": float(value) for share, value in zip(QUANTILES, found, strict=True)}
            yield {"case": name, "figure": figure, **row}


def _comparisons(
    rows: pd.DataFrame, cases: Cases, sizes: Mapping[str, tuple[int, int]], threshold: float
) -> Iterator[Row]:
    """Compare the models of one input size, two at a time, on the attempts that both have seen."""
    by_case = dict(_by_case(rows, cases))
    for one, other in combinations(by_case, 2):
        first, second = str(cases[one].get("model")), str(cases[other].get("model"))
        same = cases[one].get("noise") == cases[other].get("noise") and sizes.get(first) == sizes.get(second)
        if not same or first == second:
            continue
        hits, others = _shared(by_case[one], by_case[other], threshold)
        both = int((hits & others).sum())
        only, only_other = int(hits.sum()) - both, int(others.sum()) - both
        found = ratio(both, only, only_other)
        yield {
            "model": second,
            "against": first,
            "noise": cases[one].get("noise"),
            "attempts": len(hits),
            "hits": both + only_other,
            "hits_against": both + only,
            "hits_of_both": both,
            "p_value": mcnemar(only, only_other),
            "reduction": None if found is None else 1 - found[0],
            "reduction_low": None if found is None else 1 - found[2],
            "reduction_high": None if found is None else 1 - found[1],
        }


def _shared(one: pd.DataFrame, other: pd.DataFrame, threshold: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say which of the attempts that two cases share are hits of the one, and of the other."""
    theirs = dict(zip(other["first"], other["probabilities"], strict=True))
    pairs = [(list(mine), list(theirs[first])) for first, mine in zip(one["first"], one["probabilities"], strict=True)
             if first in theirs]  # fmt: skip
    hits = [[value >= threshold for pair in pairs for value in pair[place][: min(map(len, pair))]] for place in (0, 1)]
    return np.array(hits[0], bool), np.array(hits[1], bool)


def _fooling_rows(rows: pd.DataFrame) -> Iterator[Row]:
    for (case, sought), group in rows.groupby(
        [rows["case"].astype(object), rows["sought"].astype(object)], sort=False, observed=True
    ):
        hits = pd.to_numeric(group["hits"])
        found = group[hits.gt(0).to_numpy(dtype=bool)]
        yield {
            "case": case,
            "class": sought,
            "climbs": len(group),
            "found": len(found),
            "median_passes": median(pd.to_numeric(found["forward_passes"])),
        }


def _kept(rows: pd.DataFrame) -> list[Row]:
    """What was saved of some records, the surest first."""
    found = [
        {**one, "sought": None if pd.isna(sought) else sought}
        for kept, sought in zip(rows["kept"], rows["sought"].astype(object), strict=True)
        for one in (kept if kept is not None else ())
    ]
    return sorted(found, key=lambda one: (-one["probability"], one["attempt"]))


def _text(value: object) -> object:
    return ", ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, Mapping) else value
