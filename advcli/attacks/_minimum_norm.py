"""What attacks that search for the smallest perturbation share: schedules, directions, the grid of pictures."""

import math

import torch
from torch import Tensor

from advcli.core.grid import LEVELS
from advcli.core.norms import BALLS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Floats, Pixels


def horizon(rows: Rows, steps: int) -> Tensor:
    """Steps (N,) of a forward and a backward pass that each row will make: ``steps``, or what its budget allows."""
    affordable = (rows.budget - 1) // 2  # the first look is not part of a step
    return affordable.clamp(1, steps)


def cosine(rows: Rows, steps: int, first: float, last: float) -> Floats:
    """Give a value (N,), float64, that falls with the rows' age from ``first`` to ``last`` along half a cosine wave."""
    done = wide(rows.age) / horizon(rows, steps)
    return last + (first - last) * (1 + torch.cos(math.pi * done)) / 2


def direction(rows: Rows, gradient: Pixels) -> Pixels:
    """Give gradients of Euclidean length 1; where a gradient is zero, a direction drawn from the row's noise."""
    unit = BALLS["l2"].steepest(gradient)
    flat = (unit == 0).flatten(1).all(1)
    if flat.any():
        drawn = BALLS["l2"].steepest(rows[flat].noise.normal(*rows.images.shape[1:]))
        unit = unit.index_copy(0, flat.nonzero()[:, 0], drawn)
    # The numbers of every row move on alike, whichever rows of the batch have drawn.
    rows.moved_on(-(-rows.images[0].numel() // 4))
    return unit


def farthest(images: Pixels) -> Pixels:
    """Give the largest change of each value that stays in [0, 1]."""
    return torch.maximum(images, 1 - images)


def on_grid(pixels: Tensor) -> Tensor:
    """Round values of any shape to the nearest levels of an eight-bit picture."""
    return (pixels * LEVELS).round() / LEVELS
