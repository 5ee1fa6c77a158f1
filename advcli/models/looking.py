"""One look of a network at some pixels: its logits, and gradients pulled back through it as often as needed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advcli.core.shapes import Integers, Logits, Pixels


@dataclass(frozen=True)
class Block:
    """One block of rows as the network saw it, fillers included, with its graph.

    Args:
        pixels: (B, 3, H, W), the leaf of the graph.
        logits: float32 (B, K).
        watched: the output of the watched module, or none.
        count: how many of the B rows are real.
    """

    pixels: Tensor
    logits: Tensor
    watched: Tensor | None
    count: int


class Look:
    """Logits of some rows, and the gradients that lead to them.

    Args:
        blocks: in the order of the rows.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self.logits: Logits = torch.cat([block.logits.detach()[: block.count] for block in blocks])

    @property
    def watched(self) -> Tensor:
        """Output of the watched module for each row, float32 (N, ...)."""
        return torch.cat([_watched(block).detach()[: block.count].float() for block in self._blocks])

    def pull(self, cotangent: Logits, rows: Integers | None = None) -> Pixels:
        """Gradient of <cotangent, logits> in the pixels.

        Args:
            cotangent: (M, K).
            rows: (M,) the rows that the cotangent stands for; by default all. A block without any is not computed.

        Returns:
            (M, 3, H, W).
        """
        return self._gradient(cotangent, rows, [block.pixels for block in self._blocks])

    def pull_watched(self, cotangent: Logits) -> Tensor:
        """Gradient of <cotangent, logits> in the watched module's output, (N, ...); zero where it has no influence."""
        return self._gradient(cotangent, None, [_watched(block) for block in self._blocks])

    def _gradient(self, cotangent: Tensor, rows: Tensor | None, inputs: Sequence[Tensor]) -> Tensor:
        full = cotangent
        if rows is not None:
            full = cotangent.new_zeros(self.logits.shape).index_copy(0, rows, cotangent)
        wanted = torch.ones(len(full), dtype=torch.bool) if rows is None else _mask(rows, len(full))
        parts, start = [], 0
        for block, leaf in zip(self._blocks, inputs, strict=True):
            stop = start + block.count
            if wanted[start:stop].any():
                filler = full.new_zeros(len(block.logits) - block.count, full.shape[1])
                parts.append(_vjp(block.logits, leaf, torch.cat([full[start:stop], filler]))[: block.count])
            else:
                parts.append(leaf.new_zeros(leaf[: block.count].shape))
            start = stop
        gradient = torch.cat(parts)
        return gradient if rows is None else gradient[rows]


@contextmanager
def watching(network: nn.Module, name: str | None) -> Iterator[dict[str, Tensor]]:
    """Keep the output of one module while the network runs; the network is left as it was.

    Args:
        network: to run inside the context.
        name: of the module, or none.

    Yields:
        A dictionary that holds ``output`` after the run.
    """
    kept: dict[str, Tensor] = {}
    if name is None:
        yield kept
        return

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept["output"] = output
        return output.clone()  # an in-place ReLU behind the module must not overwrite what was kept

    handle = network.get_submodule(name).register_forward_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


def _watched(block: Block) -> Tensor:
    if block.watched is None:
        raise RuntimeError("nothing was watched: name a module in Classifier.look")
    return block.watched


def _vjp(logits: Tensor, leaf: Tensor, cotangent: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logits, leaf, cotangent, retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient.contiguous().float()


def _mask(rows: Tensor, count: int) -> Tensor:
    mask = torch.zeros(count, dtype=torch.bool)
    mask[rows.cpu()] = True
    return mask
