"""The charts of a training: curves over the epochs, classes, and operator norms of layers."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from advcli.figures.chart_style import (
    ACCENT,
    INK,
    PALE,
    QUIET,
    SERIES,
    canvas,
    estimate,
    percent,
    shortened,
    style,
    svg,
    whisker,
)

Row = Mapping[str, object]
MOST_CLASSES = 40  # bars of a chart; of more classes the worst, or the rarest, are shown
_PARTS = {"train": PALE, "validation": SERIES[1], "test": SERIES[2]}
_LOSSES = {
    "loss": "training",
    "validation_loss": "validation",
    "validation_robust_loss": "validation, attacked",
    "test_loss": "test",
}
_ACCURACIES = {
    "train_accuracy": "training",
    "validation_accuracy": "validation",
    "validation_robust_accuracy": "validation, attacked",
    "test_accuracy": "test",
}


def curves_chart(history: Sequence[Row], best: int | None) -> bytes:
    """Draw losses, accuracies and the learning rate over the epochs.

    Args:
        history: rows of the table ``history``, at least one; figures that are none everywhere are left out.
        best: epoch that is marked; none for no mark.

    Returns:
        An SVG file: three charts below one another, with one axis of epochs.
    """
    epochs = [int(str(row["epoch"])) for row in history]
    with style():
        figure, (losses, accuracies, rates) = canvas(5.6, "Loss, accuracy and learning rate by epoch", rows=3)
        _lines(losses, epochs, history, _LOSSES)
        losses.set_ylabel("loss", fontsize=9)
        _lines(accuracies, epochs, history, _ACCURACIES)
        accuracies.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        accuracies.set_ylabel("accuracy", fontsize=9)
        rates.plot(epochs, _values(history, "learning_rate"), color=QUIET, marker="o", markersize=2.5, linewidth=1.3)
        rates.set_ylabel("rate", fontsize=9)
        for axes in (losses, accuracies, rates):
            axes.grid(axis="y", color=PALE, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.tick_params(labelsize=8)
            if best is not None:
                axes.axvline(best, color=INK, linewidth=0.8, linestyle=":")
        rates.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        rates.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        rates.set_xlabel("epoch" if best is None else f"epoch; dotted: {best}, the best", loc="left")
        handles = {str(line.get_label()): line for axes in (losses, accuracies) for line in axes.get_lines()}
        shown = {name: line for name, line in handles.items() if not name.startswith("_")}
        figure.legend(shown.values(), shown.keys(), loc="outside lower left", ncols=2, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def accuracy_by_class_chart(rows: Sequence[Row], part: str) -> bytes:
    """Draw the share of each class's images that are classified as that class, with 95 % intervals.

    Args:
        rows: with ``class`` and ``accuracy`` with its bounds; classes without images have none.
        part: which images: ``test`` or ``validation``.

    Returns:
        An SVG file: the classes from the top in their order; of many, the worst.
    """
    known = [(row, found) for row in rows if (found := estimate(row, "accuracy")) is not None]
    title = f"Accuracy by class, {part} images"
    if len(known) > MOST_CLASSES:
        known = sorted(known, key=lambda one: one[1][0])[:MOST_CLASSES]
        title += f", the worst {MOST_CLASSES}"
    with style():
        figure, (axes,) = canvas(1.0 + 0.22 * len(known), title)
        for place, (_, (value, low, high)) in enumerate(known):
            axes.barh(place, value, height=0.75, color=ACCENT)
            whisker(axes, place, low, high)
            axes.text(1.02, place, f"{100 * value:.1f} %", va="center", fontsize=9)
        _named(axes, [row["class"] for row, _ in known])
        percent(axes)
        axes.set_xlabel("share of the class's images, 95 % intervals", loc="left")
        return svg(figure)


def balance_chart(rows: Sequence[Row]) -> bytes:
    """Draw how many images each class has in each part.

    Args:
        rows: with ``class``, and the number of images ``train``, ``validation`` and ``test``, none without that part.

    Returns:
        An SVG file: the classes from the top in their order, the parts end to end; of many classes, the rarest.
    """
    title, shown = "Images by class", list(rows)
    if len(shown) > MOST_CLASSES:
        shown = sorted(shown, key=lambda row: int(str(row["train"])))[:MOST_CLASSES]
        title += f", the rarest {MOST_CLASSES}"
    with style():
        figure, (axes,) = canvas(1.2 + 0.22 * len(shown), title)
        left = np.zeros(len(shown))
        for part, color in _PARTS.items():
            if all(row[part] is None for row in rows):
                continue
            counts = np.array([float(str(row[part] or 0)) for row in shown])
            axes.barh(range(len(shown)), counts, left=left, height=0.75, color=color, label=part)
            left += counts
        _named(axes, [row["class"] for row in shown])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("images", loc="left")
        figure.legend(loc="outside lower left", ncols=3, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def norms_chart(rows: Sequence[Row], normalized: Sequence[str]) -> bytes:
    """Draw the operator norms of every layer: as spectral normalization sees them, exact, and with batch norm.

    Args:
        rows: ``training.spectral.LayerNorms``, in the order in which the network uses the layers.
        normalized: names of the layers whose reshaped weight is held at norm 1.

    Returns:
        An SVG file: layers from the top; a logarithmic axis, 1 marked.
    """
    looks = (
        ("estimate", "reshaped weight (PyTorch's)", QUIET, "o", "none"),
        ("exact", "operator (exact, FFT)", ACCENT, "o", ACCENT),
        ("estimate_folded", "reshaped, batch norm folded in", QUIET, "D", "none"),
        ("exact_folded", "operator, batch norm folded in", SERIES[1], "D", SERIES[1]),
    )
    with style():
        figure, (axes,) = canvas(1.6 + 0.2 * len(rows), "Operator norms by layer")
        for key, label, edge, marker, face in looks:
            places = [(float(str(row[key])), place) for place, row in enumerate(rows) if row[key]]
            if places:
                where, which = zip(*places, strict=True)
                axes.scatter(where, which, s=22, marker=marker, edgecolors=edge, facecolors=face, label=label, zorder=3)
        axes.axvline(1, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        _named(axes, [f"{row['layer']}{' *' if row['layer'] in normalized else ''}" for row in rows])
        axes.set_xlabel("norm; *: held at 1 by spectral normalization", loc="left")
        figure.legend(loc="outside lower left", ncols=1, fontsize=9, borderaxespad=0.2)
        return svg(figure)


def _named(axes: Axes, names: Sequence[object]) -> None:
    axes.set_yticks(range(len(names)), [shortened(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _lines(axes: Axes, epochs: Sequence[int], history: Sequence[Row], names: Mapping[str, str]) -> None:
    for number, (name, label) in enumerate(names.items()):
        values = _values(history, name)
        if np.isfinite(values).any():
            axes.plot(epochs, values, color=SERIES[number], label=label, marker="o", markersize=2.5, linewidth=1.3)


def _values(history: Sequence[Row], name: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([np.nan if row.get(name) is None else float(str(row[name])) for row in history])
