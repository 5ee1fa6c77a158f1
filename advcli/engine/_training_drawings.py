"""How weights and biases were distributed over a training: one table, histograms of three epochs, and films."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advcli.figures.film_files import encode
from advcli.figures.films import Curves, Moving, frames_of
from advcli.figures.histogram_grid import Panel, histogram_grid
from advcli.images.writing import write_atomically
from advcli.runs.grid import natural
from advcli.training.tracking import NETWORK

_BINS = 80
_COLUMNS, _MOST_PANELS = 5, 25  # of a film; of deeper networks every second, third, ... layer is shown
_ACCURACIES = ("train_accuracy", "validation_accuracy", "test_accuracy")
_PLURAL = {"weight": "weights", "bias": "biases"}
Told = Mapping[str, Any]


def tracking_table(out: Path) -> list[dict[str, object]]:
    """Give the figures of every layer after every epoch, as rows.

    Args:
        out: folder of the run.
    """
    return [{"epoch": told["epoch"], **row} for told in _read(out) for row in told["parameters"]]


def tracking_charts(out: Path) -> dict[str, bytes]:
    """Draw histograms of every layer and of the network: at the beginning, in the middle and at the end.

    Args:
        out: folder of the run.

    Returns:
        Name to SVG: ``weights``, and ``biases`` where there are any.
    """
    told = _read(out)
    shown = [told[place] for place in sorted({0, len(told) // 2, len(told) - 1})] if told else []
    labels = [f"epoch {one['epoch']}" for one in shown]
    charts = {}
    for kind, plural in _PLURAL.items():
        panels = _panels(shown, kind)
        if panels:
            charts[plural] = histogram_grid(panels, labels, f"{plural} by layer, logarithmic height")
    return charts


def tracking_films(out: Path, history: Sequence[Told]) -> dict[str, str]:
    """Write a film of the histograms of every layer and of the network, above the accuracies: a frame for each epoch.

    Args:
        out: folder of the run.
        history: rows with ``epoch`` and accuracies.

    Returns:
        Name to path below ``out``: ``weights``, and ``biases`` where there are any.
    """
    told = _read(out)
    by_epoch = {row["epoch"]: row for row in history}
    rows = {name: [by_epoch.get(one["epoch"], {}).get(name) for one in told] for name in _ACCURACIES}
    known = {name: np.array([np.nan if value is None else value for value in row]) for name, row in rows.items()}
    curves = Curves(np.array([float(one["epoch"]) for one in told]), "epoch", known)
    written = {}
    for kind, plural in _PLURAL.items():
        panels = [one for one in _panels(told, kind) if kind == "bias" or one.name in _matrices(told)]
        if panels and len(told) > 1:
            moving = [_moving(panel) for panel in panels[:: -(-len(panels) // _MOST_PANELS)]]
            axes = (kind, "log10 share")
            frames = frames_of(moving, curves, f"{plural} by layer", axes, min(_COLUMNS, len(moving)))
            written[plural] = f"films/{plural}.webp"
            write_atomically(out / written[plural], encode(frames, "webp"))
    return written


def _matrices(told: Sequence[Told]) -> set[str]:
    """Layers whose weight is a matrix or kernel, and the network; the scales of norms move too little for a film."""
    return {NETWORK, *(row["layer"] for row in told[0]["parameters"] if row["spectral_norm"] is not None)}


def _moving(panel: Panel) -> Moving:
    return Moving(panel.name, (panel.edges[1:] + panel.edges[:-1]) / 2, np.log10(panel.shares))


def _read(out: Path) -> list[Told]:
    files = sorted((out / "tracking").glob("epoch-*.json"), key=lambda path: natural(path.name))
    return [json.loads(path.read_bytes()) for path in files]


def _panels(shown: Sequence[Told], kind: str) -> list[Panel]:
    """Lay the histograms of each layer out on one axis, the whole network first."""
    layers: dict[str, list[Told | None]] = {}
    for place, told in enumerate(shown):
        for one in told["histograms"]:
            if one["kind"] == kind:
                layers.setdefault(one["layer"], [None] * len(shown))[place] = one
    names = sorted(layers, key=lambda name: name != NETWORK)
    return [_panel(name, layers[name]) for name in names]


def _panel(name: str, rows: Sequence[Told | None]) -> Panel:
    known = [one for one in rows if one is not None]
    low, high = min(one["edges"][0] for one in known), max(one["edges"][-1] for one in known)
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    return Panel(name, edges, np.array([_shares(one, edges) for one in rows]))


def _shares(one: Told | None, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread a histogram over other bins, as if its values were spread evenly inside each bin."""
    if one is None:
        return np.full(_BINS, np.nan)
    sums = np.concatenate([[0], np.cumsum(one["counts"])]) / max(1, sum(one["counts"]))
    there = np.asarray(one["edges"])
    shares: NDArray[np.float64] = np.diff(np.interp(edges, there, sums))
    return np.where(shares > 0, shares, np.nan)
