"""Ways to choose a target side by side: success, passes and distances of each, on the same images."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advcli.figures.chart_style import INK, SERIES, WIDTH, estimate, shortened, style, svg, whisker

Row = Mapping[str, object]
_FIGURES = {
    "attack_success_rate": "success rate, with its 95 % interval",
    "median_forward_passes": "forward passes to success, median",
    "median_l2": "l2, median",
    "median_linf": "linf in 255ths, median",
    "median_ssim": "1 - SSIM, median",
}


def strategy_charts(rows: Sequence[Row]) -> dict[str, bytes]:
    """Draw each attack that was given several kinds of targets.

    Args:
        rows: of the table ``strategies``.

    Returns:
        ``strategies-ATTACK`` to SVG.
    """
    attacks = dict.fromkeys(str(row["attack"]) for row in rows)
    return {
        f"strategies-{attack}": strategy_chart(attack, [row for row in rows if row["attack"] == attack])
        for attack in attacks
    }


def strategy_chart(attack: str, rows: Sequence[Row]) -> bytes:
    """Draw one small chart for each figure, a bar for each way to choose a target.

    Args:
        attack: for the title.
        rows: of one attack, with ``target`` and the figures.

    Returns:
        An SVG file. Every figure has a scale of its own from 0; a shorter bar is a smaller change.
    """
    with style():
        height = 0.6 + len(_FIGURES) * (0.42 + 0.2 * len(rows))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        images = rows[0].get("images")
        figure.suptitle(f"Targets on the same {images} images, {shortened(attack)}", x=0.01, ha="left", fontsize=11)
        for axes, (name, title) in zip(figure.subplots(len(_FIGURES), 1), _FIGURES.items(), strict=True):
            _bars(axes, rows, name, title)
        return svg(figure)


def _bars(axes: Axes, rows: Sequence[Row], name: str, title: str) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_title(title, fontsize=9.5, pad=3)
    values = [_value(row, name) for row in rows]
    largest = 1.0 if name.endswith("rate") else max((value for value in values if value is not None), default=0.0)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        axes.barh(place, value or 0.0, height=0.72, color=SERIES[place % len(SERIES)])
        bounds = estimate(row, name)
        if bounds is not None:
            whisker(axes, place, *bounds[1:])
        end = max(value or 0.0, bounds[2] if bounds else 0.0)
        axes.text(end + 0.015 * (largest or 1), place, _text(name, value), va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(rows)), [shortened(row["target"]) for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.22 * (largest or 1))


def _value(row: Row, name: str) -> float | None:
    value = row.get(name)
    if not isinstance(value, int | float):
        return None
    return 1 - float(value) if name.endswith("ssim") else float(value) * (255 if name.endswith("linf") else 1)


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "no success"
    return f"{100 * value:.1f} %" if name.endswith("rate") else f"{value:.3g}"
