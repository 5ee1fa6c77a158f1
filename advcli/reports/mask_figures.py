"""The figures of a mask run: what the network still says of a part of each picture, and areas under such curves."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from advcli.reports.intervals import mean_interval
from advcli.reports.summaries import (
    Cases,
    Figures,
    cases_of,
    distinct_models,
    flat_rows,
    input_counts,
    labelled,
    rate,
    same,
    settings_text,
    truth,
    usable,
)

COLUMNS = (
    *("item", "case", "status", "label", "label_source", "prediction", "probability", "flags", "flipped"),
    *("prediction_after", "probability_after", "probability_filled", "share_kept"),
)
FIGURES = (  # what a summary's top level may hold, for gates
    *("images", "errors", "labelled", "clean_accuracy", "clean_accuracy_low", "clean_accuracy_high"),
    *("insertion", "deletion"),
)
_AXES = ("model", "method", "settings", "order", "fill")  # beside the share


def summarize_masks(frame: pd.DataFrame, cases: Cases) -> Figures:
    """Summarize mask records.

    Args:
        frame: records with the columns ``COLUMNS``.
        cases: id to axes, in the order wanted.

    Returns:
        Values: the counts of the inputs and ``clean_accuracy`` (with several models ``models``, a list); ``insertion``
        and ``deletion``, the mean areas of the first map; ``cases``: of each case ``accuracy`` (of the images whose
        label was known before), ``agreement`` with the clean prediction, the mean ``probability_after`` and the most
        common wrong class; and ``areas``: for each method, order and fill the mean area under the curve of the first
        class's probability, insertion where shares are kept, deletion where they are removed, plain and in units of
        the clean probability. Tables: ``cases``, ``areas``, and ``wrong_classes``.
    """
    rows = usable(frame)
    rows = rows[rows["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    per_case = cases_of(rows, cases, _figures)
    areas = list(_areas(rows, cases))
    models = [{"model": model, **_clean(group)} for model, group in distinct_models(rows, cases)]
    top: dict[str, object] = {"models": models} if len(models) > 1 else models[0]
    top.pop("model", None)
    values = {**input_counts(frame), **top, **_headline(areas), "cases": per_case, "areas": areas}
    tables = {"cases": flat_rows(per_case), "areas": areas, "wrong_classes": list(_wrong_classes(rows, cases))}
    return Figures(values, tables)


def _figures(rows: pd.DataFrame) -> dict[str, object]:
    known = rows[labelled(rows)]
    values: dict[str, object] = {"images": int(rows["item"].nunique())}
    if len(known):
        values |= rate("accuracy", int(same(known["prediction_after"], known["label"]).sum()), len(known))
    values |= rate("agreement", int((~truth(rows["flipped"])).sum()), len(rows))
    values["probability_after"] = mean_interval(_numbers(rows["probability_after"]))["mean"]
    blank = sum(flags is not None and "blank" in flags for flags in rows["flags"])
    if blank:
        values["blank"] = blank
    name, count = next(iter(_wrong(rows)), (None, 0))
    values["most_common_wrong"] = None if name is None else f"{name} {count}"
    return values


def _wrong(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the classes that pictures were taken for wrongly once they were masked, the most common first."""
    wrong = rows[truth(rows["flipped"]) & ~same(rows["prediction_after"], rows["label"])]
    counts = Counter(wrong["prediction_after"].astype(object))
    return sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0])))


def _wrong_classes(rows: pd.DataFrame, cases: Cases) -> Iterator[dict[str, object]]:
    groups = dict(iter(rows.groupby(rows["case"].astype(object), sort=False)))
    for name in cases:
        if name in groups:
            for class_, count in _wrong(groups[name]):
                yield {"case": name, "prediction_after": class_, "images": count}


def _clean(rows: pd.DataFrame) -> dict[str, object]:
    known = rows[labelled(rows)].drop_duplicates("item")
    return dict(rate("clean_accuracy", int(same(known["prediction"], known["label"]).sum()), len(known)))


def _headline(areas: list[dict[str, object]]) -> dict[str, object]:
    """Take the areas of the first map: what a gate can be about."""
    found: dict[str, object] = {}
    for row in areas:
        if row["order"] == "map" and row["metric"] in ("insertion", "deletion"):
            found.setdefault(str(row["metric"]), row["mean"])
    return found


def _areas(rows: pd.DataFrame, cases: Cases) -> Iterator[dict[str, object]]:
    for name, (axes, members) in _curves(cases).items():
        metric = name[-1]
        group = rows[rows["case"].astype(object).isin(members).to_numpy(dtype=bool)]
        complete = [one for _, one in group.groupby("item", sort=False) if len(one) == len(members)]
        plain = np.array([_area(one) for one in complete])
        first = np.array([float(one["probability"].iloc[0]) for one in complete])
        yield {**axes, "metric": metric, **mean_interval(plain, 0, 1)}
        yield {**axes, "metric": f"{metric} / clean", **mean_interval(plain / first, 0)}


def _curves(cases: Cases) -> dict[tuple[str, ...], tuple[Mapping[str, object], list[str]]]:
    """Put the cases together that differ in their share alone."""
    found: dict[tuple[str, ...], tuple[Mapping[str, object], list[str]]] = {}
    for case, axes in cases.items():
        metric = "insertion" if axes.get("keep") is not None else "deletion"
        told = {name: settings_text(axes.get(name)) for name in _AXES}
        found.setdefault((*map(str, told.values()), metric), (told, []))[1].append(case)
    return found


def _area(rows: pd.DataFrame) -> float:
    """Area under the curve of one image: from all pixels replaced to none for insertion, the other way for deletion.

    Both are the same integral over the share that is kept.
    """
    points = sorted(zip(_numbers(rows["share_kept"]), _numbers(rows["probability_after"]), strict=True))
    first = (0.0, float(rows["probability_filled"].iloc[0]))
    shares, scores = zip(first, *points, (1.0, float(rows["probability"].iloc[0])), strict=True)
    return float(trapezoid(scores, shares))


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
