"""Arithmetic that no kernel's last bit survives.

Sums, exponentials and the like are rounded differently from one batch size to the next. Done in float64 and rounded to
float32 once, they come out the same, and a row's course cannot depend on which rows stand beside it.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """Give a tensor in float64, or in float32 on the one kind of device that has no float64 (MPS)."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


def exact(row: Tensor) -> np.ndarray:
    """Give one row, such as the logits (K,) of an image, as float64 on the CPU.

    What is said of one image after another is computed with numpy: on a few numbers it is several times quicker than
    torch, and it keeps the interpreter, for which the threads that read and write files wait.
    """
    return array_of(row).astype(np.float64)


def array_of(tensor: Tensor) -> np.ndarray:
    """Give a tensor without gradient as an array on the CPU, which shares its memory where it is there already.

    ``Tensor.numpy(force=True)`` does the same, but lets other threads have the interpreter several times on the way.
    """
    return (tensor if tensor.is_cpu else tensor.cpu()).numpy()


def by_row(compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Compute each row alone, so that no operand's shape depends on how many rows there are.

    Kernels of reductions and of ``interpolate`` are chosen by the whole shape. In float64 that moves a last bit that
    the final rounding to float32 nearly always drops; here it cannot move at all.

    Args:
        compute: takes one row of every tensor, (1, ...) each, and gives (1, ...).
        tensors: with the rows, N >= 1 of them, first.

    Returns:
        The results, joined: (N, ...).
    """
    return torch.cat([compute(*(tensor[row : row + 1] for tensor in tensors)) for row in range(len(tensors[0]))])
