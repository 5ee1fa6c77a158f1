"""Charts as files: SVG as the page shows them, and PNG or PDF of the same drawing."""

from collections.abc import Callable
from typing import Self

from advcli.core.choices import FigureFormat
from advcli.errors import ContractError

Draw = Callable[[FigureFormat, int], bytes]


class Chart(bytes):
    """An SVG file that knows how its drawing is written in another format.

    Args:
        svg: the file.
        draw: takes a format and dots per inch, and gives that file.
    """

    _draw: Draw

    def __new__(cls, svg: bytes, draw: Draw) -> Self:
        """Make the bytes; ``draw`` is called only for other formats."""
        made = super().__new__(cls, svg)
        made._draw = draw
        return made

    def drawn_in(self, file_format: FigureFormat, dpi: int) -> bytes:
        """Give the file in a format.

        Args:
            file_format: of the file.
            dpi: dots per inch of a PNG; the others have none.
        """
        return bytes(self) if file_format == "svg" else self._draw(file_format, dpi)


def in_format(chart: bytes, file_format: FigureFormat, dpi: int) -> bytes:
    """Give the file of a chart in a format; see ``Chart.drawn_in``.

    Raises:
        ContractError: the chart is an SVG file that does not know its drawing, and another format is wanted.
    """
    if isinstance(chart, Chart):
        return chart.drawn_in(file_format, dpi)
    if file_format != "svg":
        raise ContractError(f"a chart that is only an SVG file cannot be drawn as {file_format}")
    return chart
