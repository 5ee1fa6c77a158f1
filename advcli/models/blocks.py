"""How rows are divided into the blocks that a network is shown."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def sizes(count: int, *, least: int, best: int, lanes: int = 1) -> list[int]:
    """Divide rows into blocks of nearly equal size.

    Args:
        count: rows.
        least: rows of a block at least, where there are that many.
        best: rows that a block has best at most; ``least`` goes first.
        lanes: blocks that are computed at the same time. Their number is made a multiple of it.

    Returns:
        The sizes of the blocks.
    """
    most = count // least
    parts = max(1, min(-(-count // best), most))
    if lanes <= most:
        parts = min(-(-parts // lanes), most // lanes) * lanes
    return [count // parts + (place < count % parts) for place in range(parts)]


def exact_sizes(count: int, block: int) -> list[int]:
    """Divide rows into blocks of one size, and what is left."""
    return [min(block, count - start) for start in range(0, count, block)]


def filled(pixels: Tensor, divided: Iterable[int], block: int) -> Iterator[tuple[Tensor, int]]:
    """Yield the rows of each block, filled up with repeats to ``block`` rows, and how many of them are real."""
    for part in torch.split(pixels.detach(), list(divided)):
        repeats = part[torch.arange(max(block - len(part), 0), device=part.device) % len(part)]
        yield torch.cat([part, repeats]), len(part)
