"""What each picture is held against: its own label, its folder's name, a row of a CSV file, or the prediction."""

import csv
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, cast, get_args

from advcli.errors import ImageError, UsageError
from advcli.images.sources import Source, printable

Way = Literal["auto", "folder", "predicted", "file"]
LabelSource = Literal["folder", "file", "record", "predicted"]
_PATH_COLUMNS = ("path", "file", "filename", "image")
_LABEL_COLUMNS = ("label", "class")


@dataclass(frozen=True)
class Labels:
    """How pictures get their labels.

    Args:
        how: ``auto`` takes the label that came along, else the name of the parent folder where it is a class, else
            the prediction; ``folder`` insists on the folder; ``file`` on a row of ``table``; ``predicted`` takes
            the model's word.
        table: path of a picture to the word for its class; only for ``file``.
        numbers: for ``auto``, whether folders whose names are numbers are classes; see ``for_folders``.
        option: that named the table, for errors.
    """

    how: Way
    table: dict[str, str] | None = None
    numbers: bool = True
    option: str = "--labels"

    @cached_property
    def _rows(self) -> dict[str, list[str]]:
        """File name to the paths in the table that end in it."""
        rows: dict[str, list[str]] = {}
        for path in self.table or {}:
            rows.setdefault(path.rpartition("/")[2], []).append(path)
        return rows

    def row(self, path: str) -> str:
        """Look a picture up: by its path, else by the one row whose path is the end of it, or ends in it.

        Raises:
            ImageError: no row fits, or several do.
        """
        table = self.table or {}
        if path in table:
            return table[path]
        fitting = [row for row in self._rows.get(path.rpartition("/")[2], []) if _ends_in(path, row)]
        if len(fitting) != 1:
            found = f"{len(fitting)} rows" if fitting else "no row"
            raise ImageError(
                f"{printable(path)} has {found} in the {self.option} file", "name it there by this very path"
            )
        return table[fitting[0]]


def parse_labels(option: str) -> Labels:
    """Read the option ``--labels``.

    Args:
        option: ``auto``, ``folder``, ``predicted``, or the path of a CSV file with the columns ``path`` (or ``file``,
            ``filename``, ``image``) and ``label`` (or ``class``).

    Raises:
        UsageError: it is none of these, or the file has no such columns or contradicts itself.
    """
    if not option.strip():
        raise UsageError("--labels '' is empty", "give auto, folder, predicted or a CSV file")
    if option != "file" and option in get_args(Way):
        return Labels(cast(Way, option))
    return read_classes(option, "--labels", "give auto, folder, predicted or a CSV file")


def read_classes(path: str, option: str, hint: str) -> Labels:
    """Read a CSV file that gives each picture a class.

    Args:
        path: of the file, with the columns that ``parse_labels`` knows.
        option: that was typed, for errors.
        hint: what to do where there is no such file.

    Raises:
        UsageError: it cannot be read, lacks a column, leaves a cell empty, or contradicts itself.
    """
    what = f"{option} {printable(path)}"
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return Labels("file", _table(csv.DictReader(file), what), option=option)
    except OSError as error:
        raise UsageError(f"{what}: {error.strerror or error}", hint) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{what} is not CSV in UTF-8: {error}", "export it again") from error


def for_folders(labels: Labels, sources: Iterable[Source]) -> Labels:
    """Let numbers be classes only where every folder of a run is called by a number: ``100`` beside ``cat`` is none."""
    if labels.how != "auto":
        return labels
    return replace(labels, numbers=all(_folder(source).isdecimal() for source in sources))


def label_for(labels: Labels, source: Source, match: Callable[[str], int | None]) -> tuple[int | None, LabelSource]:
    """Decide which class a picture is held against.

    Args:
        labels: how.
        source: the picture.
        match: a word to the index of the class that it means, or none.

    Returns:
        The index, none where the model's prediction shall stand; and where the label is from: ``record`` also stands
        for a built-in sample's.

    Raises:
        ImageError: the folder is no class (``folder``); no row fits, or its word is no class (``file``).
    """
    if labels.how == "file":
        word = labels.row(source.path)
        return _insist(match(word), f"{printable(source.path)}: {printable(word)!r} is no class of the model"), "file"
    folder = _folder(source)
    if labels.how == "folder":
        index = match(folder)
        return _insist(index, f"{printable(source.path)}: its folder {printable(folder)!r} is no class"), "folder"
    if labels.how == "auto":
        if source.label is not None and (index := match(source.label)) is not None:
            return index, "record"
        counts = labels.numbers or not folder.isdecimal()
        if counts and (index := match(folder)) is not None:
            return index, "folder"
    return None, "predicted"


def _folder(source: Source) -> str:
    """Name the folder as the user does: a linked class folder bears the class's name, its target may not."""
    return Path(os.path.abspath(source.location)).parent.name  # noqa: PTH100 - Path.absolute leaves .. in


def _insist(index: int | None, message: str) -> int:
    if index is None:
        raise ImageError(message, "give class names or indices, or --labels predicted")
    return index


def _table(rows: "csv.DictReader[str]", what: str) -> dict[str, str]:
    path_column, label_column = (_column(rows, names, what) for names in (_PATH_COLUMNS, _LABEL_COLUMNS))
    table: dict[str, str] = {}
    for row in rows:
        path, label = row[path_column], row[label_column]
        if not path or label is None:
            raise UsageError(
                f"{what}: line {rows.line_num} lacks a {path_column} or a {label_column}",
                "fill it in, or leave the line out",
            )
        key = PurePosixPath(path.strip()).as_posix()  # ./a.png is a.png
        if table.setdefault(key, label.strip()) != label.strip():
            raise UsageError(f"{what}: line {rows.line_num} gives {printable(key)} a second {label_column}", "keep one")
    return table


def _column(rows: "csv.DictReader[str]", names: Iterable[str], what: str) -> str:
    for column in rows.fieldnames or ():
        if column.strip().lower() in names:
            return column
    raise UsageError(f"{what} has no column {' or '.join(names)}", "its first line must read: path,label")


def _ends_in(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return f"/{long}".endswith(f"/{short}")
