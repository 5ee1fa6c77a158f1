"""What the figures of every run are made of: counts, rates with intervals, medians, and one row per case."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from advcli.core.fields import presentation
from advcli.core.records import Record

Axes = Mapping[str, object]
Cases = Mapping[str, Axes]
LABELLED = ("folder", "file", "record")


@dataclass(frozen=True)
class Figures:
    """The figures of a run.

    Args:
        values: by name: the worst case on top, and ``cases``, one mapping per case in long form.
        tables: by name, rows of a CSV file each.
        series: by name, case to the numbers that a chart shows one by one.
    """

    values: Mapping[str, object]
    tables: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    series: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)


def rate(name: str, hits: int, count: int, method: Literal["exact", "wilson"] = "exact") -> dict[str, float | None]:
    """Give a share with its 95 % interval.

    Args:
        name: of the figure.
        hits: how often it happened; 0 to ``count``.
        count: how often it could have happened.
        method: ``exact``, which covers at least 95 %; or ``wilson``, which is shorter and covers about 95 %.

    Returns:
        The share as NAME and the binomial interval as NAME_low and NAME_high; none of nothing.

    Source: Clopper and Pearson 1934, https://doi.org/10.1093/biomet/26.4.404 (exact); Wilson 1927,
    https://doi.org/10.1080/01621459.1927.10502953.
    """
    if not count:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = _interval(int(hits), int(count), method)
    return {name: int(hits) / int(count), f"{name}_low": low, f"{name}_high": high}


@lru_cache(maxsize=65536)  # a table of a thousand classes asks for the same few shares again and again
def _interval(hits: int, count: int, method: str) -> tuple[float, float]:
    interval = binomtest(hits, count).proportion_ci(0.95, method=method)
    return float(interval.low), float(interval.high)


def median(values: pd.Series) -> float | None:
    """Give the median of the values that are there; none of none."""
    known = values.dropna()
    return float(known.median()) if len(known) else None


def cases_of(
    rows: pd.DataFrame, cases: Cases, figures: Callable[[pd.DataFrame], Mapping[str, object]]
) -> list[dict[str, object]]:
    """Lay the figures of each case out in long form.

    Args:
        rows: of all cases, with a column ``case``.
        cases: id to axes, in the order wanted. Cases that the run does not know stand in no figure.
        figures: of the rows of one case, of which there may be none.

    Returns:
        One dictionary per case: ``case``, its axes, its figures.
    """
    groups = dict(iter(rows.groupby(rows["case"].astype(object), sort=False)))
    none = rows.iloc[:0]
    return [{"case": name, **axes, **figures(groups.get(name, none))} for name, axes in cases.items()]


def truth(values: pd.Series) -> NDArray[np.bool_]:
    """Turn truth values into plain ones; where nothing is known it is not so."""
    return values.astype(object).eq(True).to_numpy(dtype=bool)  # noqa: FBT003 - the value that is looked for


def same(one: pd.Series, other: pd.Series) -> NDArray[np.bool_]:
    """Compare two columns of names, whatever their categories; what is not known equals nothing."""
    first, second = one.astype(object), other.astype(object)
    return (first.eq(second) & first.notna()).to_numpy(dtype=bool)


def usable(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the records that say something of their item: results, and cases that are not applicable."""
    return frame[frame["status"].astype(object).ne("error") & frame["case"].notna()]


def labelled(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Say of each record whether its label was known before the network was asked."""
    return rows["label_source"].astype(object).isin(LABELLED).to_numpy(dtype=bool)


def input_counts(frame: pd.DataFrame, noun: str = "images") -> dict[str, object]:
    """Count the items of a run.

    Args:
        frame: records, with ``item``, ``case``, ``status`` and, of images, ``label_source``.
        noun: what the items are called.

    Returns:
        ``images`` (by their noun), ``errors``: those that could not be used, wholly or under one case, and
        ``labelled``: those held against a label that was known before.
    """
    failed = frame["status"].astype(object).eq("error")
    counts: dict[str, object] = {
        noun: int(frame["item"].nunique()),
        "errors": int(frame.loc[failed, "item"].nunique()),
    }
    if "label_source" in frame:
        rows = usable(frame)
        counts["labelled"] = int(rows.loc[labelled(rows), "item"].nunique())
    return counts


def models_of(cases: Cases) -> list[object]:
    """List the models of a grid, each once."""
    return list(dict.fromkeys(axes.get("model") for axes in cases.values()))


def distinct_models(rows: pd.DataFrame, cases: Cases) -> Iterator[tuple[object, pd.DataFrame]]:
    """Yield the model and the rows of its cases, model by model."""
    models = models_of(cases) or [None]
    if len(models) == 1:
        yield models[0], rows
        return
    of_case = rows["case"].astype(object).map({name: axes.get("model") for name, axes in cases.items()})
    for model in models:
        yield model, rows[[one == model for one in of_case]]


def record_figures(rows: pd.DataFrame, record: type[Record]) -> dict[str, object]:
    """Summarize the fields of a record class by their roles: medians of figures, sums of counts, rates of flags.

    Args:
        rows: records of one case.
        record: their class; fields without a column are passed over.

    Returns:
        ``median_NAME`` of each figure, NAME of each count, and NAME_rate with its bounds of each flag.
    """
    values: dict[str, object] = {}
    for name in record.model_fields:
        role = presentation(record, name).role
        if name not in rows or name == "error":
            continue
        if role == "figure":
            values[f"median_{name}"] = median(pd.to_numeric(rows[name]))
        elif role == "count":
            values[name] = int(pd.to_numeric(rows[name]).sum())
        elif role == "flag":
            known = rows[name].notna()
            values |= rate(f"{name}_rate", int(truth(rows[name]).sum()), int(known.sum()))
    return values


def summarize_records(frame: pd.DataFrame, cases: Cases, record: type[Record], noun: str = "items") -> Figures:
    """Summarize a command that has no figures of its own, by the roles of its record's fields.

    Args:
        frame: records, with ``item``, ``case``, ``status`` and whatever is to be summarized.
        cases: id to axes.
        record: class of the records.
        noun: what the items are called.
    """

    def figures(rows: pd.DataFrame) -> dict[str, object]:
        return {noun: int(rows["item"].nunique()), **record_figures(rows, record)}

    per_case = cases_of(usable(frame), cases, figures)
    return Figures({**input_counts(frame, noun), "cases": per_case}, {"cases": flat_rows(per_case)})


def flat_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Turn settings inside rows into text, for a table: ``steps=40, norm=l2``."""
    return [{name: settings_text(value) for name, value in row.items()} for row in rows]


def settings_text(value: object) -> object:
    """Write settings as they are typed; anything else is left as it is."""
    if not isinstance(value, Mapping):
        return value
    return ", ".join(f"{key}={one}" for key, one in value.items())
