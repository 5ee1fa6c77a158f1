"""Films: curves that change from frame to frame on axes that do not."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advcli.figures.chart_style import ACCENT, INK, QUIET, SERIES, shortened, style

Frame = NDArray[np.uint8]
Size = tuple[float, float]
Moves = tuple[Artist, Callable[[int], bool]]  # what changes, and what sets it to a frame and says whether it shows
_DPI = 100
_FEW = 2  # columns of panels, up to which they are large
_PANEL = {True: (4.0, 3.0), False: (1.8, 1.35)}  # inches, of large and small panels
_TOP, _CURVES = 0.45, 1.35  # inches


@dataclass(frozen=True)
class Moving:
    """One panel of a film.

    Args:
        name: above the panel.
        places: (B,) of the curve.
        values: (frames, B); NaN leaves a gap.
        words: one text per frame inside the panel; may be empty.
        lines: straight lines of each frame, ((x, x), (y, y)), or none.
    """

    name: str
    places: NDArray[np.float64]
    values: NDArray[np.float64]
    words: Sequence[str] = ()
    lines: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]] | None] = ()


@dataclass(frozen=True)
class Curves:
    """What runs below the panels, with a mark at each frame.

    Args:
        steps: (frames,) of the horizontal axis.
        step_name: what they are called.
        rows: name to (frames,) values, NaN where they are not known.
    """

    steps: NDArray[np.float64]
    step_name: str
    rows: dict[str, NDArray[np.float64]]


def frames_of(
    panels: Sequence[Moving], curves: Curves, title: str, axes_names: tuple[str, str], columns: int
) -> Iterator[Frame]:
    """Draw the frames of a film.

    What stays the same is drawn once; only curves, words and the mark are drawn for each frame.

    Args:
        panels: one or more, of as many frames each.
        curves: below them.
        title: above them.
        axes_names: of the panels' horizontal and vertical axis.
        columns: of panels side by side.

    Yields:
        Pixels (H, W, 3), H and W even.
    """
    rows = -(-len(panels) // columns)
    width, height = _PANEL[columns <= _FEW]
    size = (_even(width * columns + 0.3), _even(_TOP + height * rows + _CURVES))
    with style():
        figure = Figure(figsize=size, dpi=_DPI)
        canvas = FigureCanvasAgg(figure)
        figure.text(0.1 / size[0], 1 - 0.28 / size[1], title, fontsize=11, color=INK)
        moving: list[Moves] = []
        for place, panel in enumerate(panels):
            left = (0.15 + width * (place % columns) + 0.42) / size[0]
            bottom = (size[1] - _TOP - height * (place // columns + 1) + 0.32) / size[1]
            axes = figure.add_axes((left, bottom, (width - 0.5) / size[0], (height - 0.62) / size[1]))
            small = columns > _FEW
            moving += _panel(axes, panel, axes_names if not small or place == 0 else ("", ""), small=small)
        axes = figure.add_axes((0.57 / size[0], 0.4 / size[1], 1 - 0.72 / size[0], (_CURVES - 0.55) / size[1]))
        moving += _mark(axes, curves)
        canvas.draw()  # type: ignore[no-untyped-call]
        still = canvas.copy_from_bbox(figure.bbox)  # type: ignore[no-untyped-call]
        for frame in range(len(curves.steps)):
            canvas.restore_region(still)  # type: ignore[no-untyped-call]
            for artist, shows in moving:
                if shows(frame) and artist.axes is not None:
                    artist.axes.draw_artist(artist)
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _panel(axes: Axes, panel: Moving, names: tuple[str, str], *, small: bool) -> list[Moves]:
    """Make what changes in a panel; the axes hold all frames."""
    known = panel.values[np.isfinite(panel.values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(panel.places[0], panel.places[-1] if panel.places[-1] > panel.places[0] else panel.places[0] + 1)
    axes.set_title(shortened(panel.name), fontsize=7 if small else 9, pad=3)
    axes.set_xlabel(names[0], fontsize=7, labelpad=1)
    axes.set_ylabel(names[1], fontsize=7, labelpad=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=2, labelsize=6, labelcolor=QUIET)
    axes.locator_params(nbins=4)
    (curve,) = axes.plot([], [], color=ACCENT, linewidth=1.2, marker=".", markersize=3, animated=True)
    (line,) = axes.plot([], [], color=INK, linewidth=1, linestyle="--", animated=True)
    words = axes.text(0.98, 0.96, "", transform=axes.transAxes, ha="right", va="top", fontsize=7, animated=True)

    def move_curve(frame: int) -> bool:
        curve.set_data(panel.places, panel.values[frame])
        return True

    def move_line(frame: int) -> bool:
        ends = panel.lines[frame] if panel.lines else None
        if ends is not None:
            line.set_data(*ends)
        return ends is not None

    def change_words(frame: int) -> bool:
        words.set_text(panel.words[frame] if panel.words else "")
        return bool(panel.words)

    return [(curve, move_curve), (line, move_line), (words, change_words)]


def _mark(axes: Axes, curves: Curves) -> list[Moves]:
    """Draw the curves below the panels, and make the mark that runs along them."""
    steps = curves.steps
    drawn = {name: row for name, row in curves.rows.items() if np.isfinite(row).any()}
    for number, (name, row) in enumerate(drawn.items()):
        axes.plot(steps, row, color=SERIES[1 + number % 5], linewidth=1.2, label=name.replace("_", " "))
    if drawn:
        axes.legend(fontsize=6, loc="center right", borderaxespad=0.1)
    else:
        axes.set_yticks([])
    axes.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
    axes.set_xlabel(curves.step_name, fontsize=7, loc="left", labelpad=1)
    axes.tick_params(length=2, labelsize=6, labelcolor=QUIET)
    axes.spines[["top", "right"]].set_visible(False)
    mark = axes.axvline(steps[0], color=ACCENT, linewidth=1.5, animated=True)
    words = axes.text(
        0, 1.03, "", transform=axes.get_xaxis_transform(), ha="center", fontsize=7, color=ACCENT, animated=True
    )

    def move_mark(frame: int) -> bool:
        mark.set_xdata([steps[frame], steps[frame]])
        return True

    def move_words(frame: int) -> bool:
        words.set_x(float(steps[frame]))
        words.set_text(f"{steps[frame]:g}")
        return True

    return [(mark, move_mark), (words, move_words)]


def _even(inches: float) -> float:
    """Round a length so that it has an even number of pixels, which MP4 asks for."""
    return 2 * round(inches * _DPI / 2) / _DPI
