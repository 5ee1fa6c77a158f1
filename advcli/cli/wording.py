"""Words for people: counts with their noun, texts of foreign origin on one line, names told back."""

from collections.abc import Sequence


def counted(number: int, noun: Sequence[str]) -> str:
    """Write a number with its noun: ``1 image``, ``2,000 images``.

    Args:
        number: of things.
        noun: of one, and of several.
    """
    return f"{number:,} {noun[0] if number == 1 else noun[1]}"


def visible(text: str) -> str:
    """Escape what a terminal would obey instead of showing: control characters, and bytes that are no UTF-8."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def one_line(text: str) -> str:
    """Fold a text into one visible line."""
    return visible(" ".join(text.split()))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode() if letter != "\ufeff" else "\\ufeff"
