"""The charts of a run on disk, in the format that was asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from advcli.core.choices import FigureFormat
from advcli.figures.formats import in_format
from advcli.images.writing import write_atomically

DPI = 200  # of PNG, where nothing is said: a chart of 4.8 inches is 960 pixels wide


def write_charts(out: Path, charts: Mapping[str, bytes], file_format: FigureFormat, dpi: int | None) -> dict[str, str]:
    """Write charts below ``out/figures``, and remove those of the same names in other formats.

    Args:
        out: folder of the run.
        charts: name to chart, see ``figures.formats.Chart``.
        file_format: of the files.
        dpi: dots per inch of PNG files; by default ``DPI``.

    Returns:
        Name of each chart to its path below ``out``.

    Raises:
        UsageError: a file cannot be written.
    """
    written = {}
    for name, chart in charts.items():
        written[name] = f"figures/{name}.{file_format}"
        write_atomically(out / written[name], in_format(chart, file_format, dpi or DPI))
        for other in get_args(FigureFormat):
            if other != file_format:
                (out / "figures" / f"{name}.{other}").unlink(missing_ok=True)
    return written
