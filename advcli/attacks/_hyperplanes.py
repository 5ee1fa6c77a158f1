"""The nearest point of a hyperplane within [0, 1], in linf, l2 and l1.

Source: Croce and Hein 2020, https://arxiv.org/abs/1907.02044, section 2.1 (the projections that FAB needs).
"""

import torch
from torch import Tensor

from advcli.core.norms import Norm
from advcli.core.precision import wide
from advcli.core.shapes import Floats, Pixels

_CONVERGED = 1e-12  # of the multiplier; a further step would only move rounding errors
_MOST = 100  # steps of the search for the multiplier: it ends after about ten


def to_hyperplane(pixels: Pixels, normal: Pixels, gap: Floats, norm: Norm) -> Pixels:
    """Find the least change that brings pixels onto a hyperplane without leaving [0, 1].

    Args:
        pixels: (N, 3, H, W) in [0, 1].
        normal: (N, 3, H, W) of the hyperplane, not zero.
        gap: (N,) what <normal, change> has to be.
        norm: that the change is least in; ``l0`` is not known here.

    Returns:
        The change (N, 3, H, W), float64. Where the hyperplane lies outside [0, 1], the change that comes nearest to it.
    """
    sign = torch.where(gap < 0, -1.0, 1.0)[:, None]
    slope = wide(normal.flatten(1)) * sign
    start, steep, wanted = wide(pixels.flatten(1)), slope.abs(), wide(gap).abs()
    room = torch.where(slope > 0, 1 - start, start) * (steep > 0)
    if norm == "l1":
        size = _steepest_first(steep, room, wanted)
    else:
        # A value goes at the speed of the norm's steepest direction, until it is at 0 or 1.
        speed = (steep > 0).to(steep) if norm == "linf" else steep
        time = _time(steep, speed, room, wanted)
        size = torch.minimum(speed * time[:, None], room)
    return (slope.sign() * size).view_as(normal)


def _steepest_first(steep: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """Move the values with the steepest slope to their ends until the gap (N,) is closed."""
    order = steep.argsort(dim=1, descending=True, stable=True)
    ordered, ends = steep.gather(1, order), room.gather(1, order)
    gains = ordered * ends
    left = (wanted[:, None] - (gains.cumsum(1) - gains)).clamp(min=0)
    taken = torch.minimum(left / torch.where(ordered > 0, ordered, 1.0), ends)
    return torch.zeros_like(room).scatter(1, order, taken)


def _time(steep: Tensor, speed: Tensor, room: Tensor, wanted: Tensor) -> Tensor:
    """Solve sum steep * min(speed * time, room) = wanted for the time (N,), by Newton's method.

    The sum is concave in the time, so the steps from 0 never pass the solution, and each either leaves a value at its
    end behind or is the last. A row that has converged stays as it is, whatever the other rows do.
    """
    end = room / torch.where(speed > 0, speed, 1.0)  # time at which a value arrives
    rate = steep * speed
    time = torch.zeros_like(wanted)
    going = torch.ones_like(wanted, dtype=torch.bool)
    for _ in range(_MOST):
        reached = (rate * torch.minimum(end, time[:, None])).sum(1)
        left = (rate * (time[:, None] < end)).sum(1)
        step = (wanted - reached) / torch.where(left > 0, left, 1.0)
        going = going & (left > 0) & (step > _CONVERGED * time)
        if not going.any():
            break
        time = torch.where(going, time + step, time)
    return time
