"""The figures of a run of explanations: how often the network is right, how many maps are blank, what methods say."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advcli.core.records import MapRecord
from advcli.reports.intervals import mean_interval
from advcli.reports.summaries import (
    Cases,
    Figures,
    cases_of,
    distinct_models,
    flat_rows,
    input_counts,
    labelled,
    median,
    rate,
    record_figures,
    same,
    usable,
)

COLUMNS = (
    "item",
    "case",
    "status",
    "label",
    "label_source",
    "prediction",
    "flags",
    "share_central",
    "notes",
    "grade",
    "curves",
)

_RANKS = "overall"
_MEASURES = (  # in the order in which they are shown
    *(_RANKS, "insertion", "deletion", "insertion_random", "deletion_random", "infidelity", "max_sensitivity"),
    *("pointing", "mass_inside", "area_inside", "completeness_gap", "sanity_spearman_abs", "edge_spearman_abs"),
    *("random_spearman_abs", "sanity_ssim_abs", "sanity_hog"),
)

_MORE_IS_BETTER = {"overall", "insertion", "pointing", "mass_inside"}

# What a summary's top level may hold, for gates: always, with grades, and with grades and boxes.
FIGURES = ("images", "errors", "labelled", "clean_accuracy", "clean_accuracy_low", "clean_accuracy_high")
GRADES = (
    *("overall", "insertion", "deletion", "infidelity", "max_sensitivity", "completeness_gap"),
    *("sanity_spearman_abs", "sanity_ssim_abs", "sanity_hog", "edge_spearman_abs", "random_spearman_abs"),
)
POINTING = ("pointing", "mass_inside")


def summarize_maps(frame: pd.DataFrame, cases: Cases) -> Figures:
    """Summarize map records.

    Args:
        frame: records with the columns ``COLUMNS``; ``notes`` as one column ``notes.NAME`` for each figure of a method.
        cases: id to axes, in the order wanted.

    Returns:
        Values: the counts of the inputs, ``clean_accuracy`` (with several models ``models``, a list), and ``cases``:
        of each case the number of ``images``, how many maps are ``blank``, and medians of the figures. With grades also
        ``grades``: the mean of each measure with its 95 % interval, the cases in the order of ``overall``, the area of
        insertion minus that of deletion, and on top of each of ``GRADES`` and ``POINTING`` the mean of the worst case.
        Tables: ``cases``, ``grades``. Series: the mean curves, by name and case.
    """
    rows = usable(frame)
    rows = rows[rows["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    notes = [name for name in rows.columns if name.startswith("notes.")]
    shown = rows.drop(columns=[name for name in ("margin", "probability") if name in rows])
    per_case = cases_of(shown, cases, lambda group: _figures(group, notes))
    models = [{"model": model, **_clean(group)} for model, group in distinct_models(rows, cases)]
    top: dict[str, object] = {"models": models} if len(models) > 1 else models[0]
    top.pop("model", None)
    values: dict[str, object] = {**input_counts(frame), **top, "cases": per_case}
    tables: dict[str, list[dict[str, object]]] = {"cases": flat_rows(per_case)}
    grades = list(_grades(rows, cases))
    if grades:
        values |= _worst(grades)
        values["grades"] = tables["grades"] = grades
    return Figures(values, tables, _curves(rows, cases))


def _grades(rows: pd.DataFrame, cases: Cases) -> Iterator[dict[str, object]]:
    """Give the mean of each measure, case by case, the best case first."""
    names = [name for name in rows.columns if name.startswith("grade.") and rows[name].notna().any()]
    groups = dict(iter(rows.groupby(rows["case"].astype(object), sort=False)))
    known = [case for case in cases if case in groups and f"grade.{_RANKS}" in names]
    means = {case: mean_interval(_numbers(groups[case][f"grade.{_RANKS}"]))["mean"] for case in known}
    ranked = sorted(known, key=lambda case: -float(str(means[case])) if means[case] is not None else float("inf"))
    names.sort(key=lambda name: _place(name.removeprefix("grade.")))
    for rank, case in enumerate(ranked, 1):
        for name in names:
            row: dict[str, object] = {"case": case, "rank": rank, "metric": name.removeprefix("grade.")}
            yield row | mean_interval(_numbers(groups[case][name]))


def _worst(grades: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Give the mean of the worst case for each measure that says how good a case is."""
    found: dict[str, object] = {}
    for name in (*GRADES, *POINTING):
        means = [float(str(row["mean"])) for row in grades if row["metric"] == name and row["mean"] is not None]
        if means:
            found[name] = min(means) if name in _MORE_IS_BETTER else max(means)
    return found


def _place(name: str) -> tuple[int, str]:
    return (_MEASURES.index(name) if name in _MEASURES else len(_MEASURES), name)


def _curves(rows: pd.DataFrame, cases: Cases) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Average each curve over the images of each case; a step at which an image has no value leaves it out there."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for column in rows.columns:
        if column.startswith("curves."):
            for case in cases:
                known = rows.loc[(rows["case"].astype(object) == case).to_numpy(dtype=bool), column].dropna()
                if len(known):
                    values = np.array([[np.nan if v is None else v for v in curve] for curve in known], dtype=float)
                    counts = (~np.isnan(values)).sum(0)
                    mean = np.nansum(values, axis=0) / np.where(counts, counts, np.nan)
                    found.setdefault(column.removeprefix("curves."), {})[case] = mean
    return found


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)


def _figures(rows: pd.DataFrame, notes: list[str]) -> dict[str, object]:
    ok = rows[rows["status"].astype(object).eq("ok").to_numpy(dtype=bool)]
    blank = [flags is not None and "blank" in flags for flags in ok["flags"]]
    own = {f"median_{name.removeprefix('notes.')}": median(pd.to_numeric(ok[name])) for name in notes}
    return {
        "images": int(ok["item"].nunique()),
        "blank": sum(blank),
        **record_figures(ok, MapRecord),
        **{name: value for name, value in own.items() if value is not None},
    }


def _clean(rows: pd.DataFrame) -> dict[str, object]:
    """Give the accuracy on the images whose label was known before, each counted once."""
    known = rows[labelled(rows)].drop_duplicates("item")
    return dict(rate("clean_accuracy", int(same(known["prediction"], known["label"]).sum()), len(known)))
