"""The figures of an attack run: how many images are right, stay right, were changed, and at what cost and distance."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advcli.reports.diagnosis_figures import diagnosis
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
    same,
    truth,
    usable,
)
from advcli.reports.target_figures import strategies, target_matrix

PASSES = ("forward_passes", "backward_passes", "verification_passes")
DISTANCES = ("l2", "linf", "l1", "l0")
COLUMNS = (
    *("item", "case", "status", "label", "label_source", "prediction", "target", "eps", "adversarial_prediction"),
    *("misclassified", "misclassified_as_saved", "target_reached", *PASSES, *DISTANCES, "ssim"),
    *("indicators", "diagnosis"),
)
RATES = (
    *("clean_accuracy", "robust_accuracy", "robust_accuracy_as_saved", "attack_success_rate"),
    *("unchanged_predictions", "unchanged_predictions_as_saved"),
)
FIGURES = (  # what a summary's top level may hold, for gates
    *("images", "errors", "labelled", "attacked"),
    *(f"{name}{end}" for name in RATES for end in ("", "_low", "_high")),
    *(f"{name}_per_image" for name in PASSES),
    *(f"median_{name}" for name in DISTANCES),
    *("median_min_eps", "min_eps_quartile_1", "min_eps_quartile_3"),
)
_FLAGS = ("labelled", "right", "lost", "lost_as_saved", "attacked", "success")


def summarize_attacks(frame: pd.DataFrame, cases: Cases, *, min_eps: bool = False) -> Figures:
    """Summarize attack records.

    Args:
        frame: records with the columns ``COLUMNS``, in any order.
        cases: id to axes, in the order wanted. Records of other cases count as inputs only.
        min_eps: the ``eps`` of a record that succeeded is the smallest that sufficed.

    Returns:
        Values: the counts of the inputs, the worst case over the cases (with several models ``models``, a list with
        the worst case of each), and ``cases``; where cases differ in their target alone, ``targets`` (class against
        class), ``strategies`` and ``strategy_differences``, see ``reports/target_figures.py``; and ``diagnosis``,
        signs of a weak attack. Tables: all these lists, and ``labels`` (the worst case by class) and ``predictions``
        (what each class became). Series: ``passes`` and, where asked for, ``min_eps``.
    """
    known = usable(frame)
    known = known[known["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    rows = attack_rows(known)
    kinds = (bool(rows["labelled"].any()), bool((~rows["labelled"]).any()))
    per_case = cases_of(rows, cases, lambda group: attack_figures(group, kinds, min_eps=min_eps))
    worst = [(model, worst_case(group)) for model, group in distinct_models(rows, cases)]
    models = [{"model": model, **attack_figures(group, kinds, min_eps=min_eps)} for model, group in worst]
    top: dict[str, object] = {"models": models} if len(models) > 1 else models[0]
    top.pop("model", None)
    tables = {
        "cases": flat_rows(per_case),
        "labels": [row for model, group in worst for row in _by_label({"model": model}, group)],
        "predictions": _predictions(known, cases),
    }
    ways, gaps = strategies(rows, cases)
    wanted = {"targets": target_matrix(rows, cases), "strategies": ways, "strategy_differences": gaps}
    wanted["diagnosis"] = diagnosis(rows, cases)
    wanted = {name: found for name, found in wanted.items() if found}
    series = {"passes": dict(_passes(rows, cases))} | ({"min_eps": dict(_min_eps(rows, cases))} if min_eps else {})
    return Figures({**input_counts(frame), **top, "cases": per_case, **wanted}, {**tables, **wanted}, series)


def attack_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Judge each record.

    Args:
        rows: results and not applicable cases, with the columns ``COLUMNS``.

    Returns:
        One row for each: ``item``, ``case``, ``label``, ``target`` as they were; ``labelled``: its label was known
        before; ``right``: the clean image is classified rightly; ``lost``, ``lost_as_saved``: the attacked one is not;
        ``attacked``: the clean image was not at the goal already; ``success``: it was attacked and reached the goal;
        the passes; ``eps``, the distances and ``ssim``, NaN except of successes; ``indicators``, and ``noise``: random
        noise sufficed, NaN where it was not tried.
    """
    right = same(rows["prediction"], rows["label"])
    targeted = rows["target"].notna().to_numpy(dtype=bool)
    at_goal = np.where(targeted, same(rows["prediction"], rows["target"]), ~right)
    attacked = rows["status"].astype(object).eq("ok").to_numpy(dtype=bool) & ~at_goal
    success = attacked & np.where(targeted, truth(rows["target_reached"]), truth(rows["misclassified"]))
    noise = rows.get("diagnosis.noise_success")
    judged = pd.DataFrame(
        {
            "item": rows["item"].astype(object).to_numpy(),
            "case": rows["case"].astype(object).to_numpy(),
            "label": rows["label"].astype(object).to_numpy(),
            "target": rows["target"].astype(object).to_numpy(),
            "labelled": labelled(rows),
            "right": right,
            "lost": truth(rows["misclassified"]),
            "lost_as_saved": truth(rows["misclassified_as_saved"]),
            "attacked": attacked,
            "success": success,
            "noise": np.full(len(rows), np.nan) if noise is None else _numbers(noise),
            "indicators": [tuple(one) if isinstance(one, Iterable) else () for one in rows["indicators"]],
        }
    )
    for name in PASSES:
        judged[name] = _numbers(rows[name])
    for name in ("eps", *DISTANCES, "ssim"):
        judged[name] = np.where(success, _numbers(rows[name]), np.nan)
    return judged


def worst_case(rows: pd.DataFrame) -> pd.DataFrame:
    """Take of each image what a defender must reckon with: lost if any case lost it, at the cost of all.

    Args:
        rows: of one model, as ``attack_rows`` gives them.

    Returns:
        The same columns, one row per image. Each distance is the smallest, in its own norm, of the points that reached
        the goal.
    """
    groups = rows.groupby("item", sort=False)
    joined = groups[list(_FLAGS)].any()
    joined[list(PASSES)] = groups[list(PASSES)].sum()
    joined[["eps", *DISTANCES]] = groups[["eps", *DISTANCES]].min()  # NaN is passed over
    joined["label"] = groups["label"].first()
    return joined.reset_index()


def attack_figures(rows: pd.DataFrame, kinds: tuple[bool, bool], *, min_eps: bool = False) -> dict[str, object]:
    """Give the figures of one case, or of the worst case.

    Clean and robust accuracy have one denominator: the images whose label was known before. Robust are those that are
    right and stay right; an image whose case is not applicable was not attacked and stays what it is.

    Args:
        rows: as ``attack_rows`` gives them, one for each image.
        kinds: whether the run has images with a label, and images without one.
        min_eps: give the median and the quartiles of the smallest eps too; an image that withstood counts as infinite.

    Returns:
        Each rate with its 95 % interval; none where there is nothing to count.
    """
    values: dict[str, object] = {}
    if kinds[0]:
        values |= _accuracies(rows[rows["labelled"]])
    if kinds[1]:
        unknown = rows[~rows["labelled"]]
        values |= rate("unchanged_predictions", int((~unknown["lost"]).sum()), len(unknown))
        values |= rate("unchanged_predictions_as_saved", int((~unknown["lost_as_saved"]).sum()), len(unknown))
    attacked = rows[rows["attacked"]]
    values["attacked"] = len(attacked)
    values |= rate("attack_success_rate", int(attacked["success"].sum()), len(attacked))
    for name in PASSES:
        values[f"{name}_per_image"] = float(attacked[name].sum()) / len(attacked) if len(attacked) else None
    values |= {f"median_{name}": median(attacked[name]) for name in DISTANCES}
    return values | (_quartiles(attacked["eps"]) if min_eps else {})


def _accuracies(known: pd.DataFrame) -> dict[str, object]:
    right = known["right"]
    counts = {
        "clean_accuracy": right,
        "robust_accuracy": right & ~known["lost"],
        "robust_accuracy_as_saved": right & ~known["lost_as_saved"],
    }
    return {
        key: value for name, hits in counts.items() for key, value in rate(name, int(hits.sum()), len(known)).items()
    }


def _quartiles(eps: pd.Series) -> dict[str, object]:
    """Quartiles by nearest rank, so that an infinite one is none and never a mean with infinity."""
    values = np.sort(eps.fillna(np.inf).to_numpy(dtype=np.float64))
    found: dict[str, object] = {}
    for name, share in (("median_min_eps", 0.5), ("min_eps_quartile_1", 0.25), ("min_eps_quartile_3", 0.75)):
        value = float(np.quantile(values, share, method="inverted_cdf")) if values.size else np.inf
        found[name] = value if np.isfinite(value) else None
    return found


def _by_label(model: dict[str, object], rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Give the accuracies of each class among the images whose label was known before."""
    known = rows[rows["labelled"]]
    for label, group in known.groupby("label"):
        yield {**model, "label": label, "images": len(group), **_accuracies(group)}


def _predictions(rows: pd.DataFrame, cases: Cases) -> list[dict[str, object]]:
    """Count what each class was taken for before and after, case by case."""
    names = ["case", "label", "prediction", "adversarial_prediction"]
    counts = Counter(rows[names].dropna().astype(object).itertuples(index=False, name=None))
    places = {name: place for place, name in enumerate(cases)}
    ranked = sorted(counts.items(), key=lambda entry: (places[entry[0][0]], *entry[0][1:]))
    return [{**dict(zip(names, key, strict=True)), "images": count} for key, count in ranked]


def _passes(rows: pd.DataFrame, cases: Cases) -> Iterator[tuple[str, NDArray[np.float64]]]:
    attacked = rows[rows["attacked"]]
    for name in cases:
        yield name, attacked.loc[attacked["case"] == name, "forward_passes"].to_numpy(dtype=np.float64)


def _min_eps(rows: pd.DataFrame, cases: Cases) -> Iterator[tuple[str, NDArray[np.float64]]]:
    attacked = rows[rows["attacked"]]
    for name in cases:
        yield name, attacked.loc[attacked["case"] == name, "eps"].fillna(np.inf).to_numpy(dtype=np.float64)


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    return pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
