"""What a training's own files say about the epochs of its checkpoints: accuracies and losses."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advcli.reports.lines import read_lines
from advcli.spectra.phases import Stretch, phases
from advcli.spectra.stopping import Cue, Stopped, in_hindsight

ACCURACIES = ("train_accuracy", "validation_accuracy", "val_accuracy", "test_accuracy")
LOSSES = ("loss", "train_loss", "validation_loss", "val_loss", "test_loss")
_HELD_OUT = ("validation_accuracy", "val_accuracy", "test_accuracy")
History = Mapping[int, Mapping[str, float]]


def read_history(folder: Path) -> dict[int, dict[str, float]]:
    """Read the figures of a training by epoch.

    Args:
        folder: of a training run, of its checkpoints, or of checkpoints with a ``history.csv`` that has the column
            ``epoch``.

    Returns:
        Epoch to name to figure; empty where the folder does not say.
    """
    for place in (folder, folder.parent):
        rows: Iterable[Mapping[str, Any]]
        if (place / "records.jsonl").is_file() and (place / "report.json").is_file():
            rows = list(read_lines(place / "records.jsonl"))
        else:
            tables = [path for path in (place / "tables" / "history.csv", place / "history.csv") if path.is_file()]
            if not tables:
                continue
            with tables[0].open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        history = {int(row["epoch"]): _figures(row) for row in rows if str(row.get("epoch") or "").isdecimal()}
        if history:
            return history
    return {}


def curves_of(history: History, epochs: Iterable[int | None], names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """Lay figures of a training out by checkpoint.

    Args:
        history: as ``read_history`` gives it.
        epochs: of the checkpoints; none where a checkpoint has no number.
        names: of the figures wanted.

    Returns:
        Name to one value per checkpoint, NaN where it is not known; only names that are known somewhere.
    """
    wanted = list(epochs)
    rows = {
        name: np.array([history.get(epoch or 0, {}).get(name, np.nan) for epoch in wanted], dtype=np.float64)
        for name in names
    }
    return {name: row for name, row in rows.items() if np.isfinite(row).any()}


def phases_of(history: History) -> list[Stretch]:
    """Divide a training into phases by its losses; empty where they are not known."""
    epochs = sorted(history)
    training = [_first(history[epoch], ("loss", "train_loss")) for epoch in epochs]
    validation = [_first(history[epoch], ("validation_loss", "val_loss", "test_loss")) for epoch in epochs]
    return phases(epochs, training, validation)


def stopped(cues: list[Cue], history: History) -> Stopped | None:
    """Say what ``train --stop-on alpha`` would have come to; see ``stopping.in_hindsight``."""
    return in_hindsight(cues, [_first(history.get(cue.epoch, {}), _HELD_OUT) for cue in cues])


def _first(figures: Mapping[str, float], names: Iterable[str]) -> float | None:
    return next((figures[name] for name in names if name in figures), None)


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name in (*ACCURACIES, *LOSSES):
        try:
            found[name] = float(row[name])
        except (KeyError, TypeError, ValueError):
            continue
    return found
