"""What ``--target`` says: a rule, a rank, a class, every class, or a file with a class for each image."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import get_args

from advcli.core.choices import TargetRule
from advcli.core.targets import RANK
from advcli.errors import ImageError, UsageError
from advcli.images.labels import Labels, read_classes
from advcli.images.sources import printable
from advcli.models.classes import resolve_class

ALL = "all"
MOST_CLASSES = 100  # up to which ``all`` is one attack toward each
_RULES = get_args(TargetRule)
_ENDING = ".csv"


@dataclass(frozen=True)
class Wanted:
    """What attacks are to reach.

    Args:
        words: of the targets, as they stand in the cases: a rule, ``rank:K``, ``all``, a class, or the name of a file
            with a digest of what is in it, so that other contents are another case.
        files: those files, by their word.
    """

    words: tuple[str, ...] = ()
    files: Mapping[str, Labels] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Wanted":
        """Read the texts of ``--target``.

        Raises:
            UsageError: a rank is no whole number from 2 on, or a file cannot be used; its bad line is named.
        """
        words: list[str] = []
        files: dict[str, Labels] = {}
        for text in texts:
            word = _ranked(text) if text.casefold().startswith(RANK) else text
            if text.casefold().endswith(_ENDING):
                table = read_classes(text, "--target", "give the path of a CSV file with the columns path,class")
                digest = hashlib.sha256(repr(sorted((table.table or {}).items())).encode()).hexdigest()[:8]
                word = f"{PurePath(text).name}~{digest}"
                files[word] = table
            words.append(word)
        return cls(tuple(dict.fromkeys(words)), files)

    def for_classes(self, word: str, classes: Sequence[str]) -> list[str]:
        """Give the targets that a word stands for on a network: ``all`` for each of its classes, others themselves.

        Args:
            word: one of ``words``.
            classes: of the network.

        Raises:
            UsageError: the network has no such class or rank, or too many classes for ``all``.
        """
        if word == ALL:
            if len(classes) > MOST_CLASSES:
                raise UsageError(
                    f"--target all is one attack toward each of {len(classes):,} classes, more than {MOST_CLASSES}",
                    "name some: --target rank:2 --target rank:3, --target CLASS, or --target FILE.csv",
                )
            return [_as_class(name, place) for place, name in enumerate(classes)]
        if word.startswith(RANK) and int(word.removeprefix(RANK)) > len(classes):
            raise UsageError(
                f"--target {word}: the model has {len(classes)} classes", f"use rank:2 to rank:{len(classes)}"
            )
        for path, name in sorted((self.files[word].table or {}).items()) if word in self.files else ():
            _known(name, classes, f"--target {word.rpartition('~')[0]}, {printable(path)}")
        if not self._rules(word):
            resolve_class(word, classes)
        return [word]

    def require(self, paths: Sequence[str]) -> None:
        """Refuse files that leave an image of a run out.

        Args:
            paths: of the images.

        Raises:
            UsageError: the first image without a row is named.
        """
        for word, table in self.files.items():
            missing = [reason for path in paths if (reason := _missing(table, path)) is not None]
            if missing:
                more = f", and so {len(missing) - 1:,} more" if len(missing) > 1 else ""
                raise UsageError(f"{missing[0]} {word.rpartition('~')[0]}{more}", "give each image a line: path,class")

    def rule(self, word: str, path: str, classes: Sequence[str]) -> str | int:
        """Give what ``choose_targets`` takes for one image: a rule, or a class's index.

        Args:
            word: target of the case.
            path: of the image.
            classes: of the network.
        """
        if word in self.files:
            return resolve_class(self.files[word].row(path), classes)
        return word if self._rules(word) else resolve_class(word, classes)

    def _rules(self, word: str) -> bool:
        return is_rule(word) or word in self.files


def is_rule(word: str) -> bool:
    """Say whether a target is chosen for each image, and not one class for all."""
    return word in _RULES or word.startswith(RANK)


def _ranked(text: str) -> str:
    number = text.partition(":")[2].strip()
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) >= 2):
        raise UsageError(
            f"--target {text!r} is no rank", "use rank:2 for the second most probable class, rank:3 for the third, ..."
        )
    return f"{RANK}{int(number)}"


def _as_class(name: str, place: int) -> str:
    """The class as a target; one that is called like a rule by its index."""
    return str(place) if is_rule(name) or name == ALL else name


def _known(name: str, classes: Sequence[str], where: str) -> None:
    try:
        resolve_class(name, classes)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", error.hint) from None


def _missing(table: Labels, path: str) -> str | None:
    try:
        table.row(path)
    except ImageError as error:
        return error.message
    return None
