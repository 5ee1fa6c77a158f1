"""The figures of a compare run: those of its attacks, and how alike the maps before and after are."""

from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import t

from advcli.reports.attack_figures import COLUMNS as ATTACK_COLUMNS
from advcli.reports.attack_figures import attack_rows, summarize_attacks
from advcli.reports.summaries import Cases, Figures, usable

COLUMNS = (*ATTACK_COLUMNS, "similarity")
KEYS = ("explanation", "score", "after", "metric")


def summarize_comparisons(frame: pd.DataFrame, cases: Cases, *, min_eps: bool = False) -> Figures:
    """Summarize compare records.

    Args:
        frame: records with the columns ``COLUMNS``; ``similarity`` as an Arrow list (``read_table``) or as lists.
        cases: id to axes of the attack, in the order wanted.
        min_eps: see ``summarize_attacks``.

    Returns:
        The figures of ``summarize_attacks``, and as the table and value ``similarity`` one row for each attack,
        explanation, score, class, outcome and metric: ``n`` values that are defined, their ``mean`` and its 95 %
        interval. ``misclassified`` says whether the saved picture was; images that were at the goal before the attack
        are in no row.
    """
    figures = summarize_attacks(frame, cases, min_eps=min_eps)
    rows = usable(frame)
    rows = rows[rows["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    similarity = _similarity(long_similarity(rows), cases)
    return Figures(
        {**figures.values, "similarity": similarity}, {**figures.tables, "similarity": similarity}, figures.series
    )


def long_similarity(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay the similarities of the attacked images out, one row for each value that is defined.

    Args:
        rows: usable records with the columns ``COLUMNS``.

    Returns:
        Columns ``case``, ``misclassified`` (as saved), ``KEYS`` and ``value``.
    """
    judged = attack_rows(rows)
    lists = pa.array(rows["similarity"], type=None if len(rows) else pa.list_(pa.struct([])))
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    parents = np.asarray(pa.compute.list_parent_indices(lists))
    values = pa.compute.list_flatten(lists)
    if not len(values):
        return pd.DataFrame(columns=["case", "misclassified", *KEYS, "value"])
    columns: dict[str, Any] = {name: values.field(name).dictionary_encode().to_pandas() for name in KEYS}
    long = pd.DataFrame(
        {
            "case": pd.Categorical(judged["case"].to_numpy()[parents]),
            "misclassified": judged["lost_as_saved"].to_numpy()[parents],
            **columns,
            "value": np.asarray(values.field("value").cast(pa.float64()), dtype=np.float64),
        }
    )
    attacked = judged["attacked"].to_numpy()[parents]
    kept: pd.DataFrame = long.loc[attacked & long["value"].notna()]
    return kept


def _similarity(long: pd.DataFrame, cases: Cases) -> list[dict[str, object]]:
    rows = []
    for key, group in long.groupby(["case", "misclassified", *KEYS], sort=False, observed=True):
        case, misclassified, explanation, score, after, metric = cast("tuple[Any, ...]", key)
        axes = cases[case]
        row = {"case": case, "model": axes.get("model"), "attack": axes.get("method"), "eps": axes.get("eps")}
        row |= {"target": axes.get("target_rule"), "method": explanation, "score": score, "after": after}
        rows.append({**row, "misclassified": bool(misclassified), "metric": metric, **_mean(group["value"])})
    places = {name: place for place, name in enumerate(cases)}
    # The sort is stable: explanations and metrics stay in the order of the records.
    return sorted(rows, key=lambda row: (places[str(row["case"])], not row["misclassified"]))


def _mean(values: pd.Series) -> dict[str, object]:
    """Mean of similarities and its 95 % interval by Student's t, cut to [-1, 1]; no interval of one value."""
    numbers = values.to_numpy(dtype=np.float64)
    mean, count = float(numbers.mean()), len(numbers)
    if count < 2:
        return {"n": count, "mean": mean, "low": None, "high": None}
    half = float(t.ppf(0.975, count - 1) * numbers.std(ddof=1) / np.sqrt(count))
    return {"n": count, "mean": mean, "low": max(mean - half, -1.0), "high": min(mean + half, 1.0)}
