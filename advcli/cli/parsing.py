"""Words of the command line as values, or as errors that say what to write."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from advcli.core.quantities import Quantity, number, quantity
from advcli.errors import UsageError

LARGEST_SCALE = 64


def triple(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Read ``R,G,B``.

    Raises:
        UsageError: it is not three numbers.
    """
    if text is None:
        return None
    try:
        red, green, blue = (number(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r} is not three numbers", f"write {option} 0.485,0.456,0.406") from None
    return red, green, blue


def figure(text: str, option: str) -> float:
    """Read a number, such as ``0.25`` or ``8/255``.

    Raises:
        UsageError: it is none.
    """
    try:
        return number(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number", f"write {option} 0.25") from None


def share(text: str, option: str) -> float:
    """Read a share: a number from 0 to below 1, such as ``0.1`` or ``1/6``.

    Raises:
        UsageError: it is none.
    """
    value = figure(text, option)
    if not 0 <= value < 1:
        raise UsageError(f"{option} {text!r} is not a share from 0 to below 1", f"write {option} 0.1")
    return value


def is_number(text: str) -> bool:
    """Say whether a text is meant as a number: ``0.1`` is, and so is ``1/6``."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def quantities(texts: Sequence[str] | None, option: str) -> tuple[Quantity, ...]:
    """Read numbers above 0, separated by commas: ``1/255,2/255,4/255``.

    Args:
        texts: one per use of the option.
        option: that was typed, for errors.

    Raises:
        UsageError: one is no such number, or is given twice.
    """
    read = [quantity(part, option) for part in _parts(texts)]
    _refuse_repeated([one.text for one in read], option)
    return tuple(read)


def choices(texts: Sequence[str] | None, option: str, known: Any) -> tuple[Any, ...]:
    """Read words of a Literal, separated by commas.

    Args:
        texts: one per use of the option.
        option: that was typed, for errors.
        known: the Literal.

    Raises:
        UsageError: a word is not among those known, or is given twice.
    """
    words = get_args(known)
    read = [part.strip() for part in _parts(texts)]
    for word in read:
        if word not in words:
            raise UsageError(f"{option} {word!r} is not known", f"use {', '.join(words[:-1])} or {words[-1]}")
    _refuse_repeated(read, option)
    return tuple(read)


def several(texts: Sequence[str] | None, option: str) -> tuple[str, ...]:
    """Take the values of an option that may be repeated.

    Raises:
        UsageError: one is empty, or given twice.
    """
    read = [text.strip() for text in texts or ()]
    if "" in read:
        raise UsageError(f"{option} '' is empty", "is a shell variable unset?")
    _refuse_repeated(read, option)
    return tuple(read)


def scales(texts: Sequence[str] | None, words: Sequence[str] = ()) -> tuple[int | None, str | None]:
    """Read ``--scale``: how many times pictures are enlarged and, where it takes words, one of these.

    Raises:
        UsageError: a text is neither, or there are two of a kind.
    """
    times: int | None = None
    word: str | None = None
    for text in several(texts, "--scale"):
        if text in words and word is None:
            word = text
        elif text.isdecimal() and 1 <= int(text) <= LARGEST_SCALE and times is None:
            times = int(text)
        else:
            known = " or ".join([f"a whole number from 1 to {LARGEST_SCALE}", *words])
            two = "" if times is None and word is None else " beside another"
            raise UsageError(f"--scale {text!r} has no meaning{two}", f"give {known}")
    return times, word


def absolute(path: Path) -> Path:
    """Make a path absolute, ``~`` written out, so that it means the same whatever the working directory becomes.

    Raises:
        UsageError: the working directory has been deleted.
    """
    try:
        return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - Path's own raises on a ~name that is no user
    except FileNotFoundError:
        raise UsageError("the working directory does not exist any more", "change to a folder that does") from None


def command_line() -> str:
    """The command as it could be typed again; bytes that are no UTF-8 are written as escapes."""
    return shlex.join(["advcli", *sys.argv[1:]]).encode("utf-8", "backslashreplace").decode()


def _parts(texts: Sequence[str] | None) -> list[str]:
    return [part for text in texts or () for part in text.split(",")]


def _refuse_repeated(read: Sequence[str], option: str) -> None:
    repeated = next((word for place, word in enumerate(read) if word in read[:place]), None)
    if repeated is not None:
        raise UsageError(f"{option} {repeated} is given twice", "leave one out")
