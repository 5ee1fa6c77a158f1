"""How good explanations are, as curves: deletion and insertion by method, and what is left when layers are random."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from advcli.figures.chart_style import PALE, QUIET, SERIES, canvas, shortened, style, svg

Curve = NDArray[np.float64]
Part = tuple[str, Mapping[str, Curve], Mapping[str, Curve]]
_FAITHFULNESS = ("deletion", "insertion")
_METRICS = {"spearman_abs": "Spearman of |v|", "ssim_abs": "SSIM of |v|", "hog": "HOG of |v|"}


def grade_charts(curves: Mapping[str, Mapping[str, Curve]]) -> dict[str, bytes]:
    """Draw the curves of a graded run.

    Args:
        curves: name of a curve to case to its mean over the images, values at equal steps; empty without grades.

    Returns:
        Name to SVG: ``faithfulness``, the probability of the class while the most important pixels go or come, and
        ``sanity``, the similarity of the maps of networks with more and more random layers; those that are known.
    """
    charts = {}
    if all(name in curves for name in _FAITHFULNESS):
        charts["faithfulness"] = _chart(
            "Probability while pixels go, and come",
            [(name, curves[name], curves.get(f"{name}_random", {})) for name in _FAITHFULNESS],
            "share of the pixels replaced, the most important first",
            least=0,
        )
    known: list[Part] = [
        (text, curves[f"sanity_{name}"], {}) for name, text in _METRICS.items() if f"sanity_{name}" in curves
    ]
    if known:
        charts["sanity"] = _chart(
            "Maps of networks with random layers", known, "share of the layers that is random, from the top", least=-0.2
        )
    return charts


def _chart(
    title: str,
    parts: Sequence[Part],
    horizontal: str,
    *,
    least: float,
) -> bytes:
    """Draw one set of axes for each part: its name, a line per case, and controls in grey."""
    cases = list(dict.fromkeys(case for _, lines, _ in parts for case in lines))
    with style():
        figure, rows = canvas(0.9 + 1.9 * len(parts) + 0.17 * len(cases), title, rows=len(parts))
        for axes, (name, lines, controls) in zip(rows, parts, strict=True):
            for values in controls.values():
                _draw(axes, values, color=QUIET, linestyle="dashed", linewidth=1.2)
            for case, values in lines.items():
                number = cases.index(case)
                dashes = ("solid", "dashed", "dotted")[number // len(SERIES) % 3]
                _draw(axes, values, color=SERIES[number % len(SERIES)], linestyle=dashes)
            axes.set_ylabel(name)
            axes.set_xlim(0, 1)
            axes.set_ylim(least, 1.02)
            axes.grid(axis="y", color=PALE, linewidth=0.6)
            axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        rows[-1].set_xlabel(horizontal)
        for number, case in enumerate(cases):
            dashes = ("solid", "dashed", "dotted")[number // len(SERIES) % 3]
            rows[0].plot([], [], color=SERIES[number % len(SERIES)], linestyle=dashes, label=shortened(case))
        if any(controls for _, _, controls in parts):
            rows[0].plot([], [], color=QUIET, linestyle="dashed", label="in random order")
        figure.legend(loc="outside lower left", ncols=1 if len(cases) < 4 else 2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _draw(axes: Axes, values: Curve, **look: Any) -> None:
    axes.plot(np.linspace(0, 1, len(values)), values, clip_on=False, **look)
