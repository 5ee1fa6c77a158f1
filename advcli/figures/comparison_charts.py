"""How alike maps stay: against eps with a line for each explanation, and by the class that an attack aims at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MultipleLocator

from advcli.core.similarities import HEADLINE, MEASURES
from advcli.figures.chart_style import INK, PALE, QUIET, SERIES, canvas, shortened, style, svg

Row = Mapping[str, Any]
MOST_TARGETS = 20
MOST_CHARTS = 6  # of one kind
_FAMILY = ("model", "attack", "target", "score", "after")  # what lines of one chart share
_BARS = ("model", "attack", "eps", "score", "after")


def comparison_charts(similarity: Sequence[Row], norms: Mapping[str, object]) -> dict[str, bytes]:
    """Draw the charts of a comparison's table of similarities.

    Args:
        similarity: rows of the table; those of all attacked images, whatever came of them, are drawn.
        norms: id of a case to the norm in which its eps is measured.

    Returns:
        Name to SVG: ``maps-against-eps-…`` where an attack has several eps, ``maps-by-target-…`` where it aims at
        several classes.
    """
    rows = [row for row in similarity if row["misclassified"] is None and row["metric"] in HEADLINE]
    charts: dict[str, bytes] = {}
    for name, family in _families(rows, _FAMILY).items():
        lines = [row for row in family if isinstance(row["eps"], int | float)]
        if len({row["eps"] for row in lines}) > 1 and len(charts) < MOST_CHARTS:
            charts[f"maps-against-eps-{name}"] = eps_chart(name, lines, str(norms.get(str(lines[0]["case"]))))
    curves = len(charts)
    for name, family in _families(rows, _BARS).items():
        bars = [row for row in family if row["target"] not in (None, "none")]
        if 1 < len({row["target"] for row in bars}) <= MOST_TARGETS and len(charts) - curves < MOST_CHARTS:
            charts[f"maps-by-target-{name}"] = target_chart(name, bars)
    return charts


def eps_chart(name: str, rows: Sequence[Row], norm: str) -> bytes:
    """Draw the three headline measures against eps: a line for each explanation with its 95 % band.

    The dashed line of the same color is the floor: random noise of the same norms in the attack's place.

    Args:
        name: of the attack, for the title.
        rows: of the table, of one attack, score and class policy.
        norm: in which eps is measured; linf is written in 255ths.
    """
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    with style():
        figure, grid = canvas(6.2 + 0.17 * len(methods), f"Maps before and after, {shortened(name)}", len(HEADLINE))
        for axes, metric in zip(grid, HEADLINE, strict=True):
            for number, method in enumerate(methods):
                points = sorted(
                    (row for row in rows if row["method"] == method and row["metric"] == metric and row["n"]),
                    key=lambda row: float(row["eps"]),
                )
                _line(axes, points, SERIES[number % len(SERIES)], shortened(method) if axes is grid[0] else None)
            _scale(axes, MEASURES[metric].title)
        eps = sorted({float(row["eps"]) for row in rows})
        if norm == "linf":
            grid[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(255 * value, 2):g}"))
        grid[-1].set_xticks(_apart(eps))
        grid[-1].set_xlabel("eps in 255ths" if norm == "linf" else f"eps, {norm}")
        grid[0].plot([], [], color=QUIET, linestyle="dashed", linewidth=1, label="noise of equal norms")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def target_chart(name: str, rows: Sequence[Row]) -> bytes:
    """Draw the three headline measures for each class that an attack aims at: a bar for each explanation.

    Args:
        name: of the attack, for the title.
        rows: of the table, of one attack, eps, score and class policy.
    """
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    targets = list(dict.fromkeys(str(row["target"]) for row in rows))
    width = 0.8 / len(methods)
    with style():
        figure, grid = canvas(6.4 + 0.17 * len(methods), f"Maps by target, {shortened(name)}", len(HEADLINE))
        for axes, metric in zip(grid, HEADLINE, strict=True):
            for number, method in enumerate(methods):
                found = {str(row["target"]): row for row in rows if row["method"] == method and row["metric"] == metric}
                places = np.array([place for place, target in enumerate(targets) if target in found])
                told = [found[target] for target in targets if target in found]
                color = SERIES[number % len(SERIES)]
                heights = [row["mean"] if row["n"] else 0.0 for row in told]
                left = places + width * (number + 0.5) - 0.4
                axes.bar(left, heights, 0.86 * width, color=color, label=shortened(method) if axes is grid[0] else None)
                for place, row in zip(left, told, strict=True):
                    if row["low"] is not None:
                        axes.plot((place, place), (row["low"], row["high"]), color=INK, linewidth=0.8)
            _scale(axes, MEASURES[metric].title)
        angle = 45 if max(map(len, targets)) * len(targets) > 50 else 0
        grid[-1].set_xticks(
            range(len(targets)),
            [shortened(target) for target in targets],
            rotation=angle,
            ha="right" if angle else "center",
        )
        figure.legend(loc="outside lower left", ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _families(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, list[Row]]:
    """Sort rows by what they share; a family is named by those values that differ between families."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    differing = [place for place, key in enumerate(keys) if len({row[key] for row in rows}) > 1 and key != "eps"]
    attack = keys.index("attack")
    named: dict[str, list[Row]] = {}
    for values, found in groups.items():
        words = [str(values[place]) for place in dict.fromkeys((attack, *differing))]
        eps = values[keys.index("eps")] if "eps" in keys else None
        words += [f"{255 * eps:.4g}_255"] if isinstance(eps, float) else []
        named["-".join(words)] = found
    return named


def _line(axes: Axes, points: Sequence[Row], color: str, label: str | None) -> None:
    """Draw one explanation: its mean, its band, its floor."""
    if not points:
        axes.plot([], [], "o-", color=color, ms=3.5, label=label)
        return
    eps = [float(row["eps"]) for row in points]
    low, high = ([row[end] if row[end] is not None else row["mean"] for row in points] for end in ("low", "high"))
    axes.fill_between(eps, low, high, color=color, alpha=0.14, linewidth=0)
    axes.plot(eps, [row["mean"] for row in points], "o-", color=color, ms=3.5, clip_on=False, label=label)
    floor = [
        (where, row["floor_noise"]) for where, row in zip(eps, points, strict=True) if row["floor_noise"] is not None
    ]
    axes.plot(*zip(*floor, strict=True) if floor else ((), ()), color=color, linestyle="dashed", linewidth=1)


def _scale(axes: Axes, title: str) -> None:
    low = min(0.0, axes.get_ylim()[0])
    axes.set_ylim(max(-1.0, low), 1)
    axes.yaxis.set_major_locator(MultipleLocator(0.25))
    axes.yaxis.set_major_formatter("{x:.2f}")  # alike for all measures
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=10, color=INK, pad=4)


def _apart(eps: Sequence[float]) -> list[float]:
    """Choose ticks among the values of eps, such that numbers do not touch."""
    kept = [eps[-1]]
    for value in reversed(eps[:-1]):
        if kept[-1] - value >= (eps[-1] - eps[0]) / 14:
            kept.append(value)
    return kept[::-1]
