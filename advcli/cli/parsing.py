"""Words of the command line as values, or as errors that say what to write."""

import shlex
import sys

from advcli.errors import UsageError
from advcli.registry import number


def triple(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Read ``R,G,B``.

    Raises:
        UsageError: it is not three numbers.
    """
    if text is None:
        return None
    try:
        red, green, blue = (number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} {text!r} is not three numbers", f"write {option} 0.485,0.456,0.406") from None
    return red, green, blue


def size_in_pixels(text: str | None, option: str) -> float | None:
    """Read ``8/255`` or ``0.03``, above 0.

    Raises:
        UsageError: it is not such a number.
    """
    if text is None:
        return None
    try:
        value = number(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} {text!r} is not a number", f"write {option} 8/255 or {option} 0.03") from None
    if value <= 0:
        raise UsageError(f"{option} {text} is not above 0", f"write {option} 8/255 or {option} 0.03")
    return value


def choice(text: str, option: str, known: tuple[str, ...]) -> str:
    """Refuse a word that is not among those known.

    Raises:
        UsageError: it is not.
    """
    if text not in known:
        raise UsageError(f"{option} {text!r} is not known", f"use {', '.join(known[:-1])} or {known[-1]}")
    return text


def command_line() -> str:
    """The command as it could be typed again; bytes that are no UTF-8 are written as escapes."""
    return shlex.join(["advcli", *sys.argv[1:]]).encode("utf-8", "backslashreplace").decode()
