"""Three channels of a gradient to one map."""

from typing import Literal

from advcli.core.precision import wide
from advcli.core.shapes import Maps, Pixels

Reduce = Literal["sum", "max", "l2"]


def reduce_channels(gradient: Pixels, how: Reduce) -> Maps:
    """Reduce (N, 3, H, W) to (N, H, W).

    Args:
        gradient: per channel.
        how: ``sum`` keeps the sign; ``max`` is the largest absolute value; ``l2`` the Euclidean length.
    """
    if how == "max":
        return gradient.abs().amax(1)
    exact = wide(gradient)
    return (exact.sum(1) if how == "sum" else exact.square().sum(1).sqrt()).to(gradient.dtype)
