"""Tables on the terminal: plain where it is no terminal, never wider than it, and without a broken word."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from advcli.cli.streams import data
from advcli.cli.wording import visible

_PIPE = 160  # columns where standard output is no terminal
_GAP = 2  # blanks between columns
Measure = Callable[[str], int]  # columns that a text takes
_LONGEST = 44  # columns of a cell; longer ones are cut in the middle


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: what it says.
        style: of rich, such as ``red``; shown on terminals with colors only.
    """

    text: str
    style: str = ""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str | Cell]], *, title: str | None = None) -> None:
    """Print a table to standard output; columns at the right that do not fit are left out.

    Args:
        head: name of each column; its words may stand below one another.
        rows: cells.
        title: above the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = _width()
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    texts = [[_cut(visible(cell.text), cell_len) for cell in row] for row in cells]
    columns = [[name, *(row[place] for row in texts)] for place, name in enumerate(head)]
    wide = [max(_widest_word(column[0], cell_len), *map(cell_len, column[1:]), 1) for column in columns]
    fitting = 1
    while fitting < len(head) and sum(wide[: fitting + 1]) + _GAP * fitting <= width:
        fitting += 1
    # A column is set off by one blank of padding and one in the place of a line.
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_header=any(head))
    spare = width - sum(wide[:fitting]) - _GAP * (fitting - 1)
    for place, name in enumerate(head[:fitting]):
        missing = max(cell_len(name) - wide[place], 0)
        if missing > spare:  # words of the heading stand below one another
            missing = 0
        spare -= missing
        heading = _stacked(name, wide[place] + missing, cell_len)
        table.add_column(Text(heading), no_wrap=True, overflow="ellipsis")
    for row, shown in zip(cells, texts, strict=True):
        table.add_row(*(Text(shown[place], row[place].style) for place in range(fitting)))
    out = data()
    plain = os.environ.get("TERM") == "dumb" or not out.isatty()
    console = Console(file=out, width=width, no_color=plain or None, highlight=False, emoji=False, markup=False)
    if title:
        console.print(Text(visible(title), "bold"))
    console.print(table)
    console.print()


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(data().fileno()).columns or _PIPE
    except (OSError, ValueError):
        return _PIPE  # a pipe has no width: let lines be long


def _widest_word(text: str, length: Measure) -> int:
    return max((length(word) for word in text.split()), default=0)


def _stacked(text: str, room: int, length: Measure) -> str:
    """Put the words of a heading below one another where they do not fit beside each other."""
    lines: list[str] = []
    for word in text.split():
        if lines and length(lines[-1]) + 1 + length(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def _cut(text: str, length: Measure) -> str:
    if length(text) <= _LONGEST:
        return text
    half = (_LONGEST - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
