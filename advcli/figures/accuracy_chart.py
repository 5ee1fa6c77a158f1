"""How many images are classified rightly: clean, attacked, and attacked as saved, case by case."""

from collections.abc import Mapping, Sequence

from advcli.figures.chart_style import (
    ACCENT,
    INK,
    PALE,
    Estimate,
    canvas,
    estimate,
    percent,
    shortened,
    style,
    svg,
    whisker,
)

RATES = (
    ("clean_accuracy", "clean", PALE),
    ("robust_accuracy", "attacked", ACCENT),
    ("robust_accuracy_as_saved", "attacked, as saved", "#e39b83"),
    ("unchanged_predictions", "prediction unchanged", ACCENT),
    ("unchanged_predictions_as_saved", "unchanged, as saved", "#e39b83"),
)


def accuracy_chart(cases: Sequence[Mapping[str, object]], key: str = "case", title: str = "Accuracy by case") -> bytes:
    """Draw the rates of each case as bars with 95 % intervals.

    Args:
        cases: figures of an attack's cases, as in ``summary.cases``; a rate that is missing or none is left out.
        key: what names a row.
        title: of the chart.

    Returns:
        An SVG file: a group of bars for each case; the axis ends at 100 %.
    """
    rows = _clean_once(cases, key)
    known = [(row, _rates(row)) for row in rows]
    names = [one for one in RATES if any(one[0] in rates for _, rates in known)]
    height = 1.05 + 0.2 * len(names) + sum(0.18 + 0.19 * max(1, len(rates)) for _, rates in known)
    with style():
        figure, (axes,) = canvas(height, title)
        place, ticks = 0.0, []
        for row, rates in known:
            begin = place
            for color, (value, low, high) in rates.values():
                axes.barh(place, value, height=0.8, color=color)
                whisker(axes, place, low, high)
                axes.text(1.02, place, f"{100 * value:.1f} %", va="center", fontsize=9)
                place += 1
            ticks.append(((begin + max(place - 1, begin)) / 2, shortened(row.get(key))))
            place = max(place, begin + 1) + 0.9
        for _, label, color in names:
            axes.barh(0, 0, color=color, label=label)
        axes.set_yticks([where for where, _ in ticks], [name for _, name in ticks], color=INK)
        axes.set_ylim(max(place - 1.2, 0.5), -0.7)
        percent(axes)
        axes.set_xlabel("share of the images, 95 % intervals", loc="left")
        if names:
            figure.legend(loc="outside lower left", ncols=min(2, len(names)), fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _rates(row: Mapping[str, object]) -> dict[str, tuple[str, Estimate]]:
    """Give the color and the estimate of each rate that is known."""
    found = {name: (color, estimate(row, name)) for name, _, color in RATES}
    return {name: (color, value) for name, (color, value) in found.items() if value is not None}


def _clean_once(rows: Sequence[Mapping[str, object]], key: str) -> list[Mapping[str, object]]:
    """Give the clean accuracy a row of its own where all rows share it."""
    clean = {estimate(row, "clean_accuracy") for row in rows}
    if len(rows) < 2 or len(clean) > 1 or None in clean:
        return list(rows)
    kept = [{name: value for name, value in row.items() if not name.startswith("clean_accuracy")} for row in rows]
    first = {name: value for name, value in rows[0].items() if name.startswith("clean_accuracy")}
    return [{key: "clean", **first}, *kept]
