"""One look of a network at some pixels: its logits, and vector-Jacobian products through it as often as needed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from advcli.core.shapes import Logits, Pixels
from advcli.models.lanes import Each, one_by_one


@runtime_checkable
class Front(Protocol):
    """Goes before a network: pictures of one size to its input."""

    def __call__(self, pixels: Pixels) -> Tensor:
        """Let gradients pass."""
        ...

    def read(self, pixels: Pixels) -> Tensor:
        """Do what becomes of them when they are saved and read again."""
        ...


@dataclass(frozen=True)
class Block:
    """One block of rows as the network saw it, fillers included, with its graph.

    Args:
        pixels: (B, 3, H, W), the leaf of the graph; beyond ``count``, row j repeats row j modulo ``count``.
        logits: float32 (B, K).
        count: how many of the B rows are real.
    """

    pixels: Tensor
    logits: Tensor
    count: int

    @property
    def copies(self) -> int:
        """How often the block holds all of its real rows."""
        return len(self.logits) // self.count


class Look:
    """Logits of some rows, and the gradients that lead to them.

    Args:
        blocks: in the order of the rows.
        again: looks at some of the rows anew, with the same logits and gradients to the bit; where few rows of a block
            want a gradient, that is cheaper than a backward pass of the block. None where it is not to be done.
        least: rows that the network is shown at least.
        each: how to go through the blocks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        again: Callable[[Pixels], "Look"] | None = None,
        least: int = 1,
        each: Each = one_by_one,
    ) -> None:
        self.blocks = blocks
        self.logits: Logits = torch.cat([block.logits.detach()[: block.count] for block in blocks])
        self._again = again
        self._least = least
        self.each = each

    def vjp(self, cotangent: Tensor, where: Tensor | None = None) -> Tensor:
        """Gradient of <cotangent, logits> in the pixels.

        Args:
            cotangent: (M, K), or (M, C, K) for C gradients of each row. Where a block holds repeats of its rows, they
                take several of the C in one backward pass.
            where: mask (N,) of the rows that are wanted, or their indices (M,); by default all N.

        Returns:
            (M, 3, H, W) or (M, C, 3, H, W), float32.
        """
        rows = _indices(where, len(self.logits), cotangent.device)
        many = cotangent if cotangent.ndim == 3 else cotangent[:, None]
        if self._again is not None and self._cost_anew(len(rows), many.shape[1]) < self._cost_here(rows, many.shape[1]):
            pixels = torch.cat([block.pixels.detach()[: block.count] for block in self.blocks])
            gradient = self._again(pixels[rows]).vjp(many)
        else:
            gradient = self._gradients(many, rows)
        return gradient if cotangent.ndim == 3 else gradient[:, 0]

    def _gradients(self, cotangent: Tensor, rows: Tensor) -> Tensor:
        height, width = self.blocks[0].pixels.shape[2:]
        found = cotangent.new_zeros((*cotangent.shape[:2], 3, height, width), dtype=torch.float32)

        def fill(touched: tuple[Block, Tensor, Tensor]) -> None:
            block, inside, places = touched
            full = cotangent.new_zeros((block.count, *cotangent.shape[1:]))
            full[places] = cotangent[inside]
            found[inside] = _block_vjp(block, full)[places]

        self.each(fill, list(self._touched(rows)))
        return found

    def _touched(self, rows: Tensor) -> Iterator[tuple[Block, Tensor, Tensor]]:
        """Blocks that hold wanted rows: the block, indices into ``rows``, and the rows' places in the block."""
        start = 0
        for block in self.blocks:
            inside = ((rows >= start) & (rows < start + block.count)).nonzero()[:, 0]
            if len(inside):
                yield block, inside, rows[inside] - start
            start += block.count

    def _cost_here(self, rows: Tensor, gradients: int) -> int:
        """Rows that pass backward through the graphs that are there."""
        return sum(len(block.logits) * -(-gradients // block.copies) for block, _, _ in self._touched(rows))

    def _cost_anew(self, rows: int, gradients: int) -> int:
        """Rows that pass forward and backward when the wanted ones alone are looked at again."""
        shown = max(rows, self._least)
        return shown * (1 + -(-gradients // max(1, shown // max(1, rows))))


def _block_vjp(block: Block, cotangent: Tensor) -> Tensor:
    """Gradients (count, C, 3, H, W) of one block for cotangents (count, C, K)."""
    found = []
    for group in torch.split(cotangent, block.copies, dim=1):
        full = cotangent.new_zeros(block.logits.shape)
        taken = group.transpose(0, 1).flatten(0, 1)  # the copies of all rows lie behind one another
        full[: len(taken)] = taken
        (gradient,) = gradients(block.logits, [block.pixels], full)
        shape = (group.shape[1], block.count, *gradient.shape[1:])
        found.append(gradient[: len(taken)].contiguous().float().view(shape).transpose(0, 1))
    return torch.cat(found, 1)


def gradients(logits: Tensor, leaves: Sequence[Tensor], cotangent: Tensor, *, twice: bool = False) -> list[Tensor]:
    """Gradients of <cotangent, logits> in the leaves of the graph, which is kept; zeros where nothing leads to a leaf.

    Of the sum: with ``grad_outputs`` torch imports sympy to compare shapes, half a second of every process.

    Args:
        logits: (N, K).
        leaves: whose gradients are wanted.
        cotangent: (N, K).
        twice: let the gradients be differentiated in their turn.

    Returns:
        One tensor for each leaf, of its shape.
    """
    with torch.enable_grad():
        inner = (logits * cotangent).sum()
    found = torch.autograd.grad(inner, leaves, retain_graph=True, create_graph=twice, allow_unused=True)
    return [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(leaves, found, strict=True)]


def _indices(where: Tensor | None, count: int, device: torch.device) -> Tensor:
    if where is None:
        return torch.arange(count, device=device)
    return where.nonzero()[:, 0] if where.dtype == torch.bool else where
