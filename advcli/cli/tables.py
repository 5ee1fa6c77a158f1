"""Tables on the terminal: plain where it is no terminal, never wider than needed."""

import os
from collections.abc import Sequence

from advcli.cli.streams import data


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table to standard output."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD,
        title=title and escape(title),
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        show_header=any(head),
    )
    for place, name in enumerate(head):
        table.add_column(escape(name), justify="left" if place == 0 else "default", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out = data()
    width = None if out.isatty() else 160  # a pipe has no width: let lines be as long as they are
    plain = os.environ.get("TERM") == "dumb" or not out.isatty()
    Console(file=out, width=width, no_color=plain or None, highlight=False, emoji=False).print(table)
