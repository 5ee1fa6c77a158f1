"""The spectrum of one layer as a picture: linear, and doubly logarithmic with its fitted tail."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.core.esd import EsdRecord
from advcli.figures.chart_style import ACCENT, INK, PALE, QUIET, style

Values = NDArray[np.float64]
SMALLEST = 1e-5  # eigenvalues below count as zero
_BINS = 60
_SIZE = (8.0, 3.2)  # inches
_DPI = 100


def esd_picture(record: EsdRecord, eigenvalues: Values, shuffled: Values) -> NDArray[np.uint8]:
    """Draw the empirical spectral density of a layer.

    Args:
        record: of the layer; its fit is drawn where there is one.
        eigenvalues: of the layer, one or more.
        shuffled: of the same weights shuffled; may be empty.

    Returns:
        Pixels (320, 800, 3).
    """
    with style():
        figure = Figure(figsize=_SIZE, dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        linear = figure.add_axes((0.07, 0.15, 0.4, 0.62))
        logarithmic = figure.add_axes((0.57, 0.15, 0.41, 0.62))
        figure.text(0.01, 0.93, f"{record.name}  {_shape(record)}", fontsize=11, color=INK)
        figure.text(0.01, 0.85, _words(record), fontsize=9, color=QUIET)
        _linear(linear, record, eigenvalues, shuffled)
        _logarithmic(logarithmic, record, eigenvalues, shuffled)
        for axes in (linear, logarithmic):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(length=2, labelsize=8, labelcolor=QUIET)
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def log_density(eigenvalues: Values, edges: Values) -> Values:
    """Density of the eigenvalues over bins of equal width in log10, as log10; NaN where a bin is empty.

    Args:
        eigenvalues: positive ones are counted.
        edges: (B + 1,) log10 of the bins' edges.
    """
    positive = eigenvalues[eigenvalues > 0]
    counts = np.histogram(np.log10(positive), edges)[0]
    widths = np.diff(10.0**edges)
    with np.errstate(divide="ignore"):
        density = np.log10(counts / (widths * max(len(positive), 1)))
    return np.where(counts > 0, density, np.nan)


def tail_line(record: EsdRecord, count: int) -> tuple[Values, Values] | None:
    """Give log10 of the fitted tail's ends, and of its density there; none without a fit.

    Args:
        record: of the layer.
        count: number of eigenvalues that the density is normalized by.
    """
    alpha, xmin, xmax = record.alpha, record.xmin, record.xmax
    if alpha is None or xmin is None or xmax is None or xmin <= 0 or not record.columns.get("num_pl_spikes"):
        return None
    share = float(record.columns["num_pl_spikes"] or 0) / max(count, 1)
    ends = np.array([xmin, xmax])
    density = share * (alpha - 1) / xmin * (ends / xmin) ** -alpha
    return np.log10(ends), np.log10(density)


def _linear(axes: Axes, record: EsdRecord, eigenvalues: Values, shuffled: Values) -> None:
    edges = np.linspace(0, float(eigenvalues.max(initial=0)) or 1.0, _BINS + 1)
    if len(shuffled):
        axes.stairs(np.histogram(shuffled, edges, density=True)[0], edges, fill=True, color=PALE)
    axes.stairs(np.histogram(eigenvalues, edges, density=True)[0], edges, color=ACCENT, linewidth=1.2)
    if record.xmin is not None and record.alpha is not None:
        axes.axvline(record.xmin, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlabel("eigenvalue", fontsize=8, loc="left", labelpad=2)
    axes.set_ylabel("density", fontsize=8, labelpad=2)


def _logarithmic(axes: Axes, record: EsdRecord, eigenvalues: Values, shuffled: Values) -> None:
    both = np.concatenate([eigenvalues, shuffled])
    both = both[both > SMALLEST]
    if not len(both):
        axes.set_axis_off()
        return
    low, high = math.log10(float(both.min())), math.log10(float(both.max()))
    edges = np.linspace(max(low, high - 5), high + 1e-9, _BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    if len(shuffled):
        axes.plot(middle, log_density(shuffled, edges), color=QUIET, linewidth=1, alpha=0.6, label="weights shuffled")
    axes.plot(middle, log_density(eigenvalues, edges), ".", color=ACCENT, markersize=4, label="eigenvalues")
    tail = tail_line(record, len(eigenvalues))
    if tail is not None:
        axes.plot(*tail, color=INK, linewidth=1.2, linestyle="--", label=f"tail, alpha {record.alpha:.2f}")
        axes.axvline(math.log10(record.xmin or 1), color=INK, linewidth=0.8, linestyle=":", label="xmin")
    axes.set_xlabel("log10 eigenvalue", fontsize=8, loc="left", labelpad=2)
    axes.set_ylabel("log10 density", fontsize=8, labelpad=2)
    axes.legend(fontsize=7, loc="lower left", handlelength=1.6, borderaxespad=0.2)


def _shape(record: EsdRecord) -> str:
    return " x ".join(map(str, record.shape))


def _words(record: EsdRecord) -> str:
    parts = [f"{record.eigenvalues or 0:,} eigenvalues"]
    if record.alpha is not None:
        sigma = f" ± {record.alpha_sigma:.2f}" if record.alpha_sigma is not None else ""
        parts.append(f"alpha {record.alpha:.2f}{sigma}")
    parts += [f"shuffled {record.alpha_null:.2f}"] if record.alpha_null is not None else []
    parts += [f"D {record.D:.3f}"] if record.D is not None else []
    return ",  ".join([*parts, record.reading or ""]).rstrip(", ")
