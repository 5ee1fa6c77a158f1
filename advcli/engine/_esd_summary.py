"""The figures, tables and charts of an esd run: of one model, of a course, or of two models side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from advcli.engine._esd_checkpoints import Checkpoints
from advcli.engine._esd_course import ACCURACIES, LOSSES, History, phases_of, read_history, stopped
from advcli.engine._esd_drawings import course_charts, films, model_charts, pair_charts
from advcli.reports.summaries import input_counts, usable
from advcli.runs.command import Summary
from advcli.spectra.pairing import differences
from advcli.spectra.parameters import Parameters
from advcli.spectra.phases import Stretch
from advcli.spectra.pool import Request
from advcli.spectra.readings import ABOUT_ALPHA, SUPPORTED, mean_alpha
from advcli.spectra.spectrum import Analysis
from advcli.spectra.stopping import Cue, cue_of
from advcli.spectra.store import load, place

READINGS = (*SUPPORTED, "insufficient", "fit failed")
COUNTS = {reading: reading.replace("-", "_").replace(" ", "_") for reading in READINGS}
FIGURES = ("checkpoints", "errors", "layers", "mean_alpha", *COUNTS.values())
_LAYER = ("layer", "name", "kind", "shape", "eigenvalues", "alpha", "xmin", "D", "spectral_norm", "stable_rank")
_MORE = ("alpha_weighted", "reading", "alpha_sigma", "alpha_null", "matrix_norm", "traps", "rand_distance", "warning")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Outlook:
    """What a summary needs beside the records.

    Args:
        found: the checkpoints.
        out: folder of the run.
        request: what is asked of every checkpoint; says where analyses are kept.
        films: formats of the films of a course.
    """

    found: Checkpoints
    out: Path
    request: Request
    films: tuple[str, ...]

    def analysis(self, fingerprint: str) -> Analysis | None:
        """Read the analysis of a checkpoint back; none where it is gone."""
        asked = self.request
        return load(place(Path(asked.folder), fingerprint, asked.seed, asked.first_sha256, traps=asked.traps))


def summarize(outlook: Outlook, frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
    """Sum up the records of a run.

    Args:
        outlook: what is needed beside them.
        frame: the records.
        cases: id to axes.

    Returns:
        Figures of the last checkpoint, a row per layer as ``cases``; tables ``layers`` and ``parameters``, of a course
        ``course``, of a pair ``pairs``; and charts.
    """
    rows = _rows(outlook.found, frame)
    by_item = {one.name: [row for row in rows if row["item"] == one.name] for one in outlook.found.listed}
    by_item = {name: layers for name, layers in by_item.items() if layers}
    analyses = {name: outlook.analysis(str(layers[0]["fingerprint"])) for name, layers in by_item.items()}
    known = {name: one for name, one in analyses.items() if one is not None}
    last = list(by_item.values())[-1] if by_item else []
    values: dict[str, object] = {**input_counts(frame, "checkpoints"), **_counts(last), "about_alpha": ABOUT_ALPHA}
    tables: dict[str, Sequence[Row]] = {"layers": [_layer(row) for row in rows], "parameters": _parameters(known)}
    charts: dict[str, bytes] = {}
    if outlook.found.kind == "course" and by_item:
        history = read_history(outlook.found.folder) if outlook.found.folder else {}
        steps, step_name = _steps(outlook.found, list(by_item))
        stretches = phases_of(history) if step_name == "epoch" else []
        cues = [cue_of(int(step), *_read(layers)) for step, layers in zip(steps, by_item.values(), strict=True)]
        tables["course"] = _course(list(by_item), cues, by_item, history, stretches)
        values |= _course_values(cues, history, stretches)
        charts |= course_charts(by_item, known, steps, step_name, history, stretches)
        values["films"] = films(outlook.out, outlook.films, by_item, known, steps, step_name, history)
    elif outlook.found.kind == "pair" and len(by_item) == 2:
        first, second = by_item.values()
        tables["pairs"] = differences(first, second)
        charts |= pair_charts(tables["pairs"], tuple(by_item))
    charts |= model_charts(by_item, known, outlook.found.kind)
    values["cases"] = _cases(outlook.found.kind, by_item, cases)
    return Summary(values, tables, charts)


def _rows(found: Checkpoints, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn usable records into rows, by checkpoint in natural order, layers in the order of its file."""
    kept = usable(frame)
    kept = kept[kept["status"].astype(object).eq("ok")]
    order = {one.name: place for place, one in enumerate(found.listed)}
    plain = kept.astype(object).where(kept.notna(), None)
    rows = [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
    rows = [row for row in rows if row["item"] in order]
    return sorted(rows, key=lambda row: (order[row["item"]], row["layer"]))


def _layer(row: Row) -> dict[str, object]:
    shape = " x ".join(str(side) for side in row["shape"])
    return {**{name: row.get(name) for name in (*_LAYER, *_MORE)}, "shape": shape, "checkpoint": row["item"]}


def _parameters(known: Mapping[str, Analysis]) -> list[dict[str, object]]:
    def plain(row: Parameters) -> dict[str, object]:
        return {name: value for name, value in vars(row).items() if name != "counts"}

    return [{"checkpoint": name, **plain(row)} for name, one in known.items() for row in one.parameters]


def _read(layers: Sequence[Row]) -> tuple[list[float | None], list[str]]:
    return [row["alpha"] for row in layers], [row["reading"] for row in layers]


def _counts(layers: Sequence[Row]) -> dict[str, object]:
    alphas, readings = _read(layers)
    counts = {name: readings.count(reading) for reading, name in COUNTS.items()}
    return {"layers": len(layers), "mean_alpha": mean_alpha(alphas, readings), **counts}


def _steps(found: Checkpoints, names: Sequence[str]) -> tuple[list[float], str]:
    """Number the checkpoints: by their epochs where all have one and they ascend, else by their places."""
    epochs = {one.name: one.epoch for one in found.listed}
    numbers = [epochs[name] for name in names]
    told = [float(number) for number in numbers if number is not None]
    if len(told) == len(numbers) and all(one < other for one, other in pairwise(told)):
        return told, "epoch"
    return [float(place) for place in range(1, len(names) + 1)], "checkpoint"


def _course(
    names: Sequence[str],
    cues: Sequence[Cue],
    by_item: Mapping[str, Sequence[Row]],
    history: History,
    stretches: Sequence[Stretch],
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, cue in zip(names, cues, strict=True):
        layers = by_item[name]
        phase = next((one.phase for one in stretches if one.first <= cue.epoch <= one.last), None)
        told = history.get(cue.epoch, {})
        rows.append(
            {
                "checkpoint": name,
                "epoch": cue.epoch,
                **_counts(layers),
                "stable_rank": _mean(layers, "stable_rank"),
                "log_spectral_norm": _mean(layers, "log_spectral_norm"),
                "matrix_norm": _mean(layers, "matrix_norm"),
                **{key: told.get(key) for key in (*ACCURACIES, *LOSSES) if any(key in one for one in history.values())},
                "phase": phase,
            }
        )
    return rows


def _course_values(cues: Sequence[Cue], history: History, stretches: Sequence[Stretch]) -> dict[str, object]:
    values: dict[str, object] = {}
    if stretches:
        values["phases"] = [
            {"phase": one.phase, "first": one.first, "last": one.last, "rule": one.rule} for one in stretches
        ]
    cue = stopped(list(cues), history)
    if cue is not None:
        values["stop_on_alpha"] = asdict(cue)
    return values


def _cases(
    kind: str, by_item: Mapping[str, Sequence[Row]], cases: Mapping[str, Mapping[str, object]]
) -> list[dict[str, object]]:
    """Give one row per layer: of the last checkpoint, of a course the first alpha too, of a pair both."""
    found: list[dict[str, object]] = []
    of_case: dict[str, list[Row]] = {}
    for layers in by_item.values():
        for layer in layers:
            of_case.setdefault(layer["case"], []).append(layer)
    for case, axes in cases.items():
        if axes.get("name") is None:  # no checkpoint could be read
            continue
        rows = of_case.get(case, [])
        row: dict[str, object] = {"case": case, **axes}
        if rows:
            last = rows[-1]
            row |= {"eigenvalues": last["eigenvalues"]}
            if kind != "model":
                row |= {"checkpoints": len(rows), "first_alpha": rows[0]["alpha"]}
            row |= {name: last[name] for name in ("alpha", "alpha_sigma", "alpha_null", "D", "stable_rank")}
            row |= {"matrix_norm": last["matrix_norm"], "reading": last["reading"]}
        found.append(row)
    return sorted(found, key=lambda row: next((one["layer"] for one in of_case.get(str(row["case"]), [])), 0))


def _mean(rows: Sequence[Row], name: str) -> float | None:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) / len(known) if known else None
