"""Which pictures of small inputs are enlarged so that a person can see them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from advcli.figures.sizing import enlarged, enlargement

Pixels = NDArray[np.uint8]
Drawing = Callable[[], Pixels | bytes]

_DRAWN = ("map", "difference", "before", "after")


def legible(drawings: Mapping[str, Drawing], scale: int | None) -> dict[str, Drawing]:
    """Enlarge maps and differences, each pixel becoming a square; overlays know their scale, see ``Photo``.

    What a network has seen or is to see (``original``, ``adversarial``) stays as it is, and so do panels; ``masked`` is
    enlarged where a number asks for it.

    Args:
        drawings: by kind of picture.
        scale: how many times; none: see ``enlargement``.
    """
    kinds = _DRAWN if scale is None else (*_DRAWN, "masked")
    return {kind: _larger(draw, scale) if kind.rpartition(".")[2] in kinds else draw for kind, draw in drawings.items()}


def _larger(draw: Drawing, scale: int | None) -> Drawing:
    def drawn() -> Pixels | bytes:
        pixels = draw()
        if isinstance(pixels, bytes):
            return pixels
        larger: Pixels = enlarged(pixels, scale or enlargement(*pixels.shape[:2])).astype(np.uint8, copy=False)
        return larger

    return drawn
