"""Three channels of a gradient to one map."""

from typing import Literal

from advcli.core.precision import by_row, wide
from advcli.core.shapes import Maps, Pixels

Reduce = Literal["sum", "max", "l2"]


def reduce_channels(gradient: Pixels, how: Reduce) -> Maps:
    """Reduce (N, 3, H, W) to (N, H, W), float64.

    Args:
        gradient: per channel.
        how: ``sum`` keeps the sign; ``max`` is the largest absolute value; ``l2`` the Euclidean length.
    """
    exact = wide(gradient)
    if how == "max":
        return exact.abs().amax(1)
    return by_row(lambda row: row.sum(1) if how == "sum" else row.square().sum(1).sqrt(), exact)
