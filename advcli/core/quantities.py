"""Numbers as a user writes them: ``8/255`` stays ``8/255`` in the names of cases."""

import math
from dataclasses import dataclass

from advcli.errors import UsageError


@dataclass(frozen=True)
class Quantity:
    """A number above 0 and the way it was written.

    Args:
        text: as written, such as ``8/255``.
        value: the number.
    """

    text: str
    value: float


def number(text: str) -> float:
    """Read a number: ``0.03``, ``1e-3``, or a quotient such as ``8/255`` or ``0.5/255``.

    Raises:
        ValueError: it is none, or not finite.
    """
    above, slash, below = text.partition("/")
    if slash and float(below) == 0:
        raise ValueError(text)
    value = float(above) / float(below) if slash else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def quantity(text: str, option: str) -> Quantity:
    """Read a number above 0 and keep the way it was written.

    Args:
        text: such as ``8/255``.
        option: that was typed, for errors: ``--eps``.

    Raises:
        UsageError: it is no number above 0.
    """
    written = "".join(text.split())
    try:
        value = number(written)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number", f"write {option} 0.03 or {option} 8/255") from None
    if value <= 0:
        raise UsageError(f"{option} {text!r} is not above 0", f"write {option} 0.03 or {option} 8/255")
    return Quantity(written, value)
