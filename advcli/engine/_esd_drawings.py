"""The charts and films of an esd run, from records and analyses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advcli.core.esd import EsdRecord
from advcli.engine._esd_course import ACCURACIES, LOSSES, History, curves_of
from advcli.figures.alpha_chart import alpha_chart, norm_chart, pair_chart
from advcli.figures.course_chart import Course, heat_chart, line_chart
from advcli.figures.esd_picture import SMALLEST, log_density, tail_line
from advcli.figures.film_files import encode, suffix
from advcli.figures.films import Curves, Moving, frames_of
from advcli.figures.histogram_grid import Panel, histogram_grid
from advcli.images.writing import write_atomically
from advcli.spectra.parameters import NETWORK, Parameters, quantile, rebinned
from advcli.spectra.phases import Stretch
from advcli.spectra.readings import mean_alpha
from advcli.spectra.spectrum import Analysis, LayerSpectrum

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
HEAT = ("alpha", "log_spectral_norm", "matrix_norm", "stable_rank", "weight_std", "bias_std", "weight_distance")
_ENDS = {"alpha": (1.0, 8.0)}  # beyond, differences of alpha say nothing
_BINS = 80
_MOST_PANELS = 20  # layers of the film of spectra
_EDGE = 0.00002  # share of the values beyond either end of a histogram's axis


def model_charts(by_item: Rows, known: Mapping[str, Analysis], kind: str) -> dict[str, bytes]:
    """Draw alpha and norms by layer of the last checkpoint, or of each of a pair; and histograms of three at most."""
    charts: dict[str, bytes] = {}
    names = list(by_item) if kind == "pair" else list(by_item)[-1:]
    for number, name in enumerate(names):
        ending = f"-{'ab'[number]}" if len(names) > 1 else ""
        charts[f"alpha{ending}"] = alpha_chart(by_item[name], f"alpha by layer, {name}")
        charts[f"spectral-norm{ending}"] = norm_chart(by_item[name], f"spectral norm by layer, {name}")
    present = list(known)
    shown = [present[place] for place in sorted({0, len(present) // 2, len(present) - 1})] if present else []
    for parameter in ("weight", "bias"):
        panels = _panels([known[name] for name in shown], parameter)
        if panels:
            plural = "biases" if parameter == "bias" else "weights"
            charts[plural] = histogram_grid(panels, shown, f"{plural} by layer, logarithmic height")
    return charts


def pair_charts(rows: Sequence[Row], names: tuple[str, ...]) -> dict[str, bytes]:
    """Draw two models side by side: alpha, and the norm that spectral normalization bounds."""
    return {f"pair-{name.replace('_', '-')}": pair_chart(rows, names, name) for name in ("alpha", "matrix_norm")}


def course_charts(
    by_item: Rows,
    known: Mapping[str, Analysis],
    steps: Sequence[float],
    step_name: str,
    history: History,
    stretches: Sequence[Stretch],
) -> dict[str, bytes]:
    """Draw the course: lines of alpha and of losses, and heat maps, below the accuracy curves."""
    del known
    epochs = [int(step) if step_name == "epoch" else None for step in steps]
    marks = [(one.phase, one.first, one.last) for one in stretches]
    above = Course(np.array(steps), step_name, curves_of(history, epochs, ACCURACIES), marks)
    layers = list(dict.fromkeys(str(row["name"]) for rows in by_item.values() for row in rows))
    grids = {name: _grid(by_item, layers, name) for name in HEAT}
    mean = [mean_alpha([row["alpha"] for row in rows], [row["reading"] for row in rows]) for rows in by_item.values()]
    known_mean = np.array([np.nan if one is None else one for one in mean])
    charts = {
        "course-alpha": line_chart(
            above, grids["alpha"], known_mean, "alpha: layers, and the mean of those read", bands=True
        )
    }
    losses = curves_of(history, epochs, LOSSES)
    if losses:
        below = Course(above.steps, step_name, losses, marks)
        ranks = grids["stable_rank"]
        charts["course-stable-rank"] = line_chart(below, ranks, _column_means(ranks), "stable rank, below the losses")
    for name, grid in grids.items():
        if np.isfinite(grid).any():
            charts[f"heat-{name.replace('_', '-')}"] = heat_chart(
                above, grid, layers, f"{name.replace('_', ' ')} by layer", _ENDS.get(name)
            )
    return charts


def films(
    out: Path,
    formats: Sequence[str],
    by_item: Rows,
    known: Mapping[str, Analysis],
    steps: Sequence[float],
    step_name: str,
    history: History,
) -> dict[str, str]:
    """Write the films of a course: spectra, all weights, all biases, and both together.

    Returns:
        Name of each film to its path below ``out``. None where fewer than two checkpoints are known.
    """
    kept = [(step, name) for step, name in zip(steps, by_item, strict=True) if name in known]
    if len(kept) < 2:
        return {}
    epochs = [int(step) if step_name == "epoch" else None for step, _ in kept]
    rows = curves_of(history, epochs, ACCURACIES)
    curves = Curves(np.array([step for step, _ in kept]), step_name, rows)
    analyses = [known[name] for _, name in kept]
    weights, biases = (_moving_values(analyses, kind) for kind in ("weight", "bias"))
    spectra = _moving_spectra(analyses, [by_item[name] for _, name in kept])
    plans = {
        "esd": (spectra, ("log10 eigenvalue", "log10 density"), "spectra, and their fitted tails", 5),
        "weights": (weights, ("weight", "log10 share"), "all weights", 1),
        "biases": (biases, ("bias", "log10 share"), "all biases", 1),
        "weights-biases": ([*weights, *biases], ("value", "log10 share"), "all weights and all biases", 2),
    }
    written: dict[str, str] = {}
    for name, (panels, axes, title, columns) in plans.items():
        if not panels or (name == "weights-biases" and not (weights and biases)):
            continue
        frames = list(frames_of(panels, curves, title, axes, min(columns, len(panels))))
        for one in formats:
            path = f"films/{name}.{suffix(one)}"
            write_atomically(out / path, encode(frames, one))
            written[name if len(formats) == 1 else f"{name}-{one}"] = path
    return written


def _grid(by_item: Rows, layers: Sequence[str], name: str) -> NDArray[np.float64]:
    """Lay a figure out as (layers, checkpoints), NaN where it is not known."""
    grid = np.full((len(layers), len(by_item)), np.nan)
    place = {layer: number for number, layer in enumerate(layers)}
    for column, rows in enumerate(by_item.values()):
        for row in rows:
            if row.get(name) is not None:
                grid[place[row["name"]], column] = row[name]
    return grid


def _column_means(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in grid.T])


def _panels(analyses: Sequence[Analysis], kind: str) -> list[Panel]:
    """Lay the histograms of each layer out on one axis, the whole network first."""
    rows = [{row.layer: row for row in one.parameters if row.kind == kind} for one in analyses]
    names = list(dict.fromkeys(name for one in rows for name in one))
    names.sort(key=lambda name: name != NETWORK)
    panels = []
    for name in names:
        present = [one[name] for one in rows if name in one]
        edges = _edges(present)
        shares = [
            rebinned(one[name], edges) / one[name].count if name in one else np.full(_BINS, np.nan) for one in rows
        ]
        panels.append(Panel(name, edges, np.array(shares)))
    return panels


def _edges(rows: Sequence[Parameters]) -> NDArray[np.float64]:
    low, high = min(quantile(row, _EDGE) for row in rows), max(quantile(row, 1 - _EDGE) for row in rows)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _moving_values(analyses: Sequence[Analysis], kind: str) -> list[Moving]:
    rows = [row for one in analyses for row in one.parameters if row.kind == kind and row.layer == NETWORK]
    if len(rows) != len(analyses):
        return []
    edges = _edges(rows)
    with np.errstate(divide="ignore"):
        shares = np.log10(np.array([rebinned(row, edges) / row.count for row in rows]))
    shares[~np.isfinite(shares)] = np.nan
    words = [f"std {row.std:.4f}" for row in rows]
    return [Moving("weights" if kind == "weight" else "biases", (edges[1:] + edges[:-1]) / 2, shares, words)]


def _moving_spectra(analyses: Sequence[Analysis], rows: Sequence[Sequence[Row]]) -> list[Moving]:
    spectra = [{one.layer["name"]: one for one in analysis.layers if len(one.eigenvalues) > 1} for analysis in analyses]
    names = [name for name in spectra[0] if all(name in one for one in spectra)]
    names = names[:: -(-len(names) // _MOST_PANELS)] if names else []
    found = []
    for name in names:
        layers = [one[name] for one in spectra]
        edges = _spectral_edges(layers)
        if edges is None:
            continue
        records = [_record(layer, name) for layer in rows]
        words = [f"{one.alpha:.2f}" if one is not None and one.alpha is not None else "" for one in records]
        lines = [
            tail_line(one, len(layer.eigenvalues)) if one is not None else None
            for one, layer in zip(records, layers, strict=True)
        ]
        values = np.array([log_density(layer.eigenvalues, edges) for layer in layers])
        found.append(Moving(name, (edges[1:] + edges[:-1]) / 2, values, words, lines))
    return found


def _spectral_edges(layers: Sequence[LayerSpectrum]) -> NDArray[np.float64] | None:
    positive = [one.eigenvalues[one.eigenvalues > SMALLEST] for one in layers]
    if any(not len(one) for one in positive):
        return None
    high = max(float(one.max()) for one in positive)
    low = max(min(float(np.quantile(one, 0.01)) for one in positive), high * 1e-5)
    if high <= low:
        low = high / 10
    return np.linspace(np.log10(low), np.log10(high) + 1e-9, _BINS // 2 + 1)


def _record(rows: Sequence[Row], name: str) -> EsdRecord | None:
    row = next((row for row in rows if row["name"] == name), None)
    if row is None:
        return None
    columns = {"num_pl_spikes": row.get("columns.num_pl_spikes")}
    return EsdRecord(item="", alpha=row["alpha"], xmin=row["xmin"], xmax=row["xmax"], columns=columns)
