"""The smallest eps that fools each image: a histogram with median and quartiles."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from advcli.figures.chart_style import ACCENT, INK, PALE, QUIET, canvas, shortened, style, svg


def min_eps_chart(case: str, values: NDArray[np.float64], norm: str | None) -> bytes:
    """Draw how much it takes to fool the images.

    Args:
        case: its id, for the title.
        values: smallest eps of each attacked image in pixel units, infinite where none was found.
        norm: in which eps is measured; linf is drawn in 255ths.

    Returns:
        An SVG file: images over eps; the quartiles are lines over a pale band, by nearest rank among all images. The
        axis ends at the largest finite value.
    """
    unit = 255.0 if norm == "linf" else 1.0
    finite = values[np.isfinite(values)] * unit
    with style():
        figure, (axes,) = canvas(2.5, f"Smallest eps, {shortened(case)}")
        largest = float(finite.max()) if finite.size else 1.0
        axes.hist(finite, bins=np.linspace(0, largest, 33).tolist(), color=ACCENT, rwidth=0.9)
        known = values * unit if values.size else np.array([np.inf])
        first, middle, third = (float(np.quantile(known, share, method="inverted_cdf")) for share in (0.25, 0.5, 0.75))
        if np.isfinite(first):
            axes.axvspan(first, min(third, largest), color=PALE, alpha=0.5, zorder=0, linewidth=0)
        if np.isfinite(middle):
            axes.axvline(middle, color=INK, linewidth=1.2)
        held = int(values.size - finite.size)
        axes.set_xlim(0, largest)
        axes.set_ylim(0, None if finite.size else 1)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_ylabel("images")
        axes.set_xlabel("eps in 255ths" if norm == "linf" else f"eps, {norm or 'pixel units'}")
        spread = f"median {_figure(middle)}, quartiles {_figure(first)} and {_figure(third)}"
        axes.set_title(f"{spread}; {held} withstood", fontsize=9, color=QUIET, pad=4)
        return svg(figure)


def _figure(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "beyond"
