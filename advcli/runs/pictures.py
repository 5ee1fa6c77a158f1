"""What is drawn for every result of a run."""

from dataclasses import dataclass
from typing import Self

FEW = 64  # results of a run up to which every one gets a panel, and legible pictures, by default


@dataclass(frozen=True)
class Pictures:
    """What is drawn for every result.

    Args:
        panels: a panel.
        scale: how many times pictures for people are enlarged; none: until they are legible.
    """

    panels: bool
    scale: int | None

    @classmethod
    def of(cls, results: int, *, panels: bool | None, scale: int | None) -> Self:
        """Decide it for so many results; none leaves it to their number."""
        few = results <= FEW
        return cls(few if panels is None else panels, 1 if scale is None and not few else scale)
