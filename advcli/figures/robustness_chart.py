"""Robust accuracy against eps: a line for each method, with its 95 % band."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import FuncFormatter, PercentFormatter

from advcli.figures.chart_style import PALE, SERIES, Estimate, canvas, estimate, shortened, style, svg

Row = Mapping[str, object]
AXES = ("model", "defense", "method", "settings", "target_rule")  # beside eps and its norm
Lines = dict[str, list[tuple[float, Estimate]]]


def curves(cases: Sequence[Row]) -> dict[str, Lines]:
    """Collect the cases that differ in eps alone.

    Args:
        cases: figures of an attack's cases, as in ``summary.cases``: with the axes ``norm``, ``eps`` and others.

    Returns:
        For each norm, name of a line to (eps, (robust accuracy, low, high)), eps ascending. A line begins with the
        clean accuracy at 0, and needs two values of eps. Without labels the rate is that of unchanged predictions.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in cases:
        others = {name: value for name, value in row.items() if name in AXES}
        if isinstance(row.get("eps"), int | float) and _rate(row) is not None:
            groups.setdefault((str(row.get("norm")), str(others)), []).append(row)
    found: dict[str, Lines] = {}
    for (norm, _), rows in groups.items():
        if len(rows) > 1:
            found.setdefault(norm, {})[_common([str(row["case"]) for row in rows])] = _points(rows)
    return found


def robustness_chart(lines: Mapping[str, Sequence[tuple[float, Estimate]]], norm: str, title: str = "") -> bytes:
    """Draw how robust accuracy falls as eps grows.

    Args:
        lines: name to (eps, (share, low, high)), eps ascending; see ``curves``.
        norm: in which eps is measured; linf is written in 255ths.
        title: of the chart; by default it names the norm.

    Returns:
        An SVG file; the axis of eps ends at the largest.
    """
    largest = max((points[-1][0] for points in lines.values()), default=1.0)
    with style():
        figure, (axes,) = canvas(2.7 + 0.17 * len(lines), title or f"Robust accuracy against eps, {norm}")
        for number, (name, points) in enumerate(lines.items()):
            color = SERIES[number % len(SERIES)]
            dashes = ("solid", "dashed", "dotted")[number // len(SERIES) % 3]
            eps = [where for where, _ in points]
            value, low, high = zip(*(one for _, one in points), strict=True)
            axes.fill_between(eps, low, high, color=color, alpha=0.14, linewidth=0)
            axes.plot(eps, value, "o", color=color, linestyle=dashes, ms=3.5, clip_on=False, label=shortened(name))
        axes.set_xlim(0, largest)
        axes.set_ylim(0, 1)
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        if norm == "linf":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(255 * value, 2):g}"))
            axes.set_xticks(_levels(largest))
        axes.set_xlabel("eps in 255ths" if norm == "linf" else f"eps, {norm}")
        if lines:
            figure.legend(loc="outside lower left", ncols=1 if len(lines) < 4 else 2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _levels(largest: float) -> list[float]:
    """Choose at most nine ticks at whole 255ths, with a step of 1, 2, 4, ..."""
    step = 1
    while largest * 255 / step > 8.01:
        step *= 2
    if largest * 255 < 2:
        return [largest * part / 4 for part in range(5)]
    return [place * step / 255 for place in range(int(largest * 255 / step + 1e-6) + 1)]


def _rate(row: Row) -> Estimate | None:
    return estimate(row, "robust_accuracy") or estimate(row, "unchanged_predictions")


def _points(rows: Sequence[Row]) -> list[tuple[float, Estimate]]:
    """Give eps and rate of each case, from the clean rate at 0 on."""
    points = [(float(str(row["eps"])), value) for row in rows if (value := _rate(row)) is not None]
    clean = estimate(rows[0], "clean_accuracy") or (1.0, 1.0, 1.0)
    return sorted([(0.0, clean), *points])


def _common(names: Sequence[str]) -> str:
    """Keep the words that the ids of all cases have at the same place: that of eps goes."""
    words = zip(*(name.split("-") for name in names), strict=False)
    return "-".join(found[0] for found in words if len(set(found)) == 1) or names[0]
