"""How far points lie from their images: in every norm, in float and as saved, and how alike they look."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from advcli.core.grid import SLACK
from advcli.core.precision import array_of
from advcli.metrics.fidelity import psnr, ssim

Change = dict[str, float | int | None]
_TOGETHER = 1 << 15  # values of the pictures that are measured together: their float64 maps stay in the cache


def changes(images: Tensor, pixels: Tensor, saved: Tensor) -> list[Change]:
    """Measure points against their images, many at once: numpy lets other threads in with every call.

    Args:
        images: (N, 3, H, W), the clean pixels.
        pixels: (N, 3, H, W), the float points.
        saved: (N, 3, H, W), the points as saved.

    Returns:
        For each of them linf, l2, l1, l0 (values) and l0_pixels of the change in pixel units, the same with the ending
        ``_as_saved``, and ssim and psnr of the float point. A row's figures do not depend on the others.
    """
    arrays = [array_of(one) for one in (images, pixels, saved)]
    rows = max(1, _TOGETHER // max(1, arrays[0][0].size))
    found: list[Change] = []
    for start in range(0, len(images), rows):
        clean, point, picture = (one[start : start + rows] for one in arrays)
        alike = zip(ssim(clean, point), psnr(clean, point), strict=True)
        for floats, levels, (similarity, ratio) in zip(
            _sizes(point - clean, ""), _sizes(picture - clean, "_as_saved"), alike, strict=True
        ):
            found.append({**floats, **levels, "ssim": similarity, "psnr": ratio})
    return found


def _sizes(delta: NDArray[np.float32], ending: str) -> Iterator[Change]:
    size = np.abs(delta.astype(np.float64)).reshape(*delta.shape[:2], -1)
    changed = size > SLACK
    values = size.reshape(len(size), -1)
    figures = {
        f"linf{ending}": values.max(1, initial=0.0),
        f"l2{ending}": np.sqrt(np.square(values).sum(1)),
        f"l1{ending}": values.sum(1),
        f"l0{ending}": changed.sum((1, 2)),
        f"l0_pixels{ending}": changed.any(1).sum(1),
    }
    for row in zip(*(figure.tolist() for figure in figures.values()), strict=True):
        yield dict(zip(figures, row, strict=True))
