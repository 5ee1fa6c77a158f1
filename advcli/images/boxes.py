"""Where the objects are: boxes in pixels of the photographs, from a CSV file."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from advcli.core.quantities import number
from advcli.errors import ImageError, UsageError
from advcli.images.labels import Labels
from advcli.images.sources import printable

Box = tuple[float, float, float, float]
_EDGES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Boxes:
    """Boxes of pictures.

    Args:
        table: path of a picture to its boxes, (left, top, right, bottom) in pixels of the photograph.
    """

    table: Mapping[str, tuple[Box, ...]]

    @cached_property
    def _rows(self) -> Labels:
        return Labels("file", {path: path for path in self.table}, option="--boxes")

    @property
    def digest(self) -> str:
        """Short digest of all boxes, for the settings of a run."""
        return hashlib.sha256(repr(sorted(self.table.items())).encode()).hexdigest()[:16]

    def of(self, path: str) -> tuple[Box, ...]:
        """Look a picture up as ``--labels FILE.csv`` does; none where no row fits, or the rows of several pictures."""
        try:
            return self.table[self._rows.row(path)]
        except ImageError:
            return ()


def read_boxes(path: Path) -> Boxes:
    """Read a CSV file with the columns ``path``, ``left``, ``top``, ``right`` and ``bottom``, one row for each box.

    Args:
        path: of the file.

    Raises:
        UsageError: it cannot be read, lacks a column, or a row is no box.
    """
    table: dict[str, tuple[Box, ...]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), 2):
                name, box = _row(row, f"--boxes {printable(str(path))}, line {line}")
                table[name] = (*table.get(name, ()), box)
    except (OSError, UnicodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--boxes {printable(str(path))}: {reason}", "give a CSV file") from error
    if not table:
        raise UsageError(f"--boxes {printable(str(path))} has no box", f"its columns are path,{','.join(_EDGES)}")
    return Boxes(table)


def _row(row: Mapping[str, str | None], where: str) -> tuple[str, Box]:
    try:
        left, top, right, bottom = (number(row[edge] or "") for edge in _EDGES)
        name = row["path"] or ""
    except (KeyError, ValueError):
        raise UsageError(f"{where} is no box", f"its columns are path,{','.join(_EDGES)}, in pixels") from None
    if not name or right <= left or bottom <= top:
        raise UsageError(f"{where}: the box is empty", "right is larger than left, bottom than top, in pixels")
    return name.replace("\\", "/"), (left, top, right, bottom)
