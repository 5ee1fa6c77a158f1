"""What noise-search works on: ranges of attempts, and pictures that are made by climbing."""

from dataclasses import dataclass

BLOCK = 500  # attempts of an item


@dataclass(frozen=True)
class Block:
    """A range of attempts.

    Args:
        first: number of the first, a multiple of ``BLOCK``.
        count: at most ``BLOCK``.
    """

    first: int
    count: int

    @property
    def identity(self) -> str:
        """Name of the item: ``attempts-0001000``; a shorter block, which a later call may complete, says its length."""
        short = f"-{self.count:04}" if self.count < BLOCK else ""
        return f"attempts-{self.first:07}{short}"


@dataclass(frozen=True)
class Climb:
    """One picture that is made from noise.

    Args:
        target: class that the network shall be sure of.
        start: number of the attempt that it begins at.
    """

    target: int
    start: int

    @property
    def identity(self) -> str:
        """Name of the item: ``fooling-0003-0000``, class and start."""
        return f"fooling-{self.target:04}-{self.start:04}"
