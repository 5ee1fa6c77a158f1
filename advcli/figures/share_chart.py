"""How many masked pictures are still right, against the share of the pixels: a line for each order."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import PercentFormatter

from advcli.figures.chart_style import PALE, QUIET, SERIES, Estimate, canvas, estimate, shortened, style, svg

Row = Mapping[str, object]
Lines = dict[str, list[tuple[float, Estimate]]]
_RATES = ("accuracy", "agreement")


def share_curves(cases: Sequence[Row]) -> dict[str, Lines]:
    """Collect the cases that differ in their share, their method or their order alone.

    Args:
        cases: figures of a mask run's cases, as in ``summary.cases``.

    Returns:
        For each chart, called after its rate, its fill and its form (``accuracy-keep-zero``), name of a line to
        (share, (rate, low, high)), the shares ascending. The random order is one line, whatever the method.
    """
    several = len({str(row.get("model")) for row in cases}) > 1
    found: dict[str, Lines] = {}
    for row in cases:
        form = "keep" if row.get("keep") is not None else "remove"
        for rate in _RATES:
            value = estimate(row, rate)
            if value is not None:
                words = [rate, form, str(row.get("fill")), *([str(row.get("model"))] if several else [])]
                line = found.setdefault("-".join(words), {}).setdefault(_name(row), [])
                point = (float(str(row.get(form))), value)
                if point not in line:
                    line.append(point)
    return {chart: {name: sorted(points) for name, points in lines.items()} for chart, lines in found.items()}


def share_chart(name: str, lines: Mapping[str, Sequence[tuple[float, Estimate]]]) -> bytes:
    """Draw how a rate grows with the share that is kept, or falls with the share that is removed.

    Args:
        name: of the chart, see ``share_curves``; makes its title.
        lines: name to (share, (rate, low, high)), shares ascending.

    Returns:
        An SVG file.
    """
    rate, form, *rest = name.split("-", 2)
    with style():
        done = "kept" if form == "keep" else "removed"
        title = f"{rate.capitalize()} against the share {done}, fill {', '.join(rest)}"
        figure, (axes,) = canvas(2.7 + 0.17 * len(lines), title)
        for number, (label, points) in enumerate(lines.items()):
            control = label == "random"
            color = QUIET if control else SERIES[number % len(SERIES)]
            dashes = "dashed" if control else ("solid", "dotted")[number // len(SERIES) % 2]
            shares = [where for where, _ in points]
            value, low, high = zip(*(one for _, one in points), strict=True)
            axes.fill_between(shares, low, high, color=color, alpha=0.14, linewidth=0)
            axes.plot(shares, value, "o", color=color, linestyle=dashes, ms=3.5, clip_on=False, label=shortened(label))
        axes.set_xlim(0, max((where for points in lines.values() for where, _ in points), default=1))
        axes.set_ylim(0, 1)
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.set_xlabel(f"share of the pixels that is {done}, 95 % bands")
        if lines:
            figure.legend(loc="outside lower left", ncols=1 if len(lines) < 4 else 2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _name(row: Row) -> str:
    """Name a line after its method, as the id of the case does."""
    if row.get("order") == "random":
        return "random"
    return str(row["case"]).split("-map-")[0]
