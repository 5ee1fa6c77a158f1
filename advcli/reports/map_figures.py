"""The figures of a run of explanations: how often the network is right, how many maps are blank, what methods say."""

import pandas as pd

from advcli.core.records import MapRecord
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

COLUMNS = ("item", "case", "status", "label", "label_source", "prediction", "flags", "share_central", "notes")

# What a summary's top level may hold, for gates.
FIGURES = ("images", "errors", "labelled", "clean_accuracy", "clean_accuracy_low", "clean_accuracy_high")


def summarize_maps(frame: pd.DataFrame, cases: Cases) -> Figures:
    """Summarize map records.

    Args:
        frame: records with the columns ``COLUMNS``; ``notes`` as one column ``notes.NAME`` for each figure of a method.
        cases: id to axes, in the order wanted.

    Returns:
        Values: the counts of the inputs, ``clean_accuracy`` (with several models ``models``, a list), and ``cases``:
        of each case the number of ``images``, how many maps are ``blank``, and medians of the figures. Table ``cases``.
    """
    rows = usable(frame)
    rows = rows[rows["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    notes = [name for name in rows.columns if name.startswith("notes.")]
    shown = rows.drop(columns=[name for name in ("margin", "probability") if name in rows])
    per_case = cases_of(shown, cases, lambda group: _figures(group, notes))
    models = [{"model": model, **_clean(group)} for model, group in distinct_models(rows, cases)]
    top: dict[str, object] = {"models": models} if len(models) > 1 else models[0]
    top.pop("model", None)
    return Figures({**input_counts(frame), **top, "cases": per_case}, {"cases": flat_rows(per_case)})


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
