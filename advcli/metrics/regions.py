"""Where the evidence of a map lies: the box of its most important part, and the share at its center."""

from collections.abc import Sequence

import numpy as np

Box = tuple[int, int, int, int]
TOP_TENTH = 0.1
TOP_K = 0.02  # 1000 pixels of 224 x 224


def top_mask(values: np.ndarray, share: float) -> np.ndarray:
    """Mark the most important pixels of a map.

    Args:
        values: signed map (H, W); what counts is the absolute value.
        share: of all pixels, in (0, 1]; at least one pixel is marked.

    Returns:
        Boolean (H, W). Of equal values the first in reading order counts.
    """
    count = max(1, round(share * values.size))
    best = np.argsort(-np.abs(values), axis=None, kind="stable")[:count]
    mask = np.zeros(values.size, dtype=bool)
    mask[best] = True
    return mask.reshape(values.shape)


def top_masks(values: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Mark the most important pixels of a map for several shares at once; pixels of value 0 are never marked.

    Args:
        values: signed map (H, W); what counts is the absolute value.
        shares: of all pixels, each in (0, 1].

    Returns:
        Boolean (H, W) for each share, otherwise as ``top_mask``.
    """
    size = np.abs(values).ravel()
    order = np.argsort(-size, kind="stable")
    masks = []
    for share in shares:
        mask = np.zeros(size.size, dtype=bool)
        mask[order[: max(1, round(share * size.size))]] = True
        masks.append((mask & (size != 0)).reshape(values.shape))
    return masks


def share_of(values: np.ndarray, mask: np.ndarray) -> float | None:
    """Give the share of the absolute map that lies in a mask (H, W), in [0, 1]; none of a blank map."""
    size = np.abs(values.astype(np.float64))
    total = size.sum()
    return float(size[mask].sum() / total) if total else None


def top_box(values: np.ndarray, share: float = 0.1) -> Box | None:
    """Frame the most important pixels of a map.

    Args:
        values: signed map (H, W).
        share: of all pixels that count as most important.

    Returns:
        (left, top, right, bottom) in pixels of the map, right and bottom exclusive; none of a blank map.
    """
    if not values.any():
        return None
    rows, columns = np.nonzero(top_mask(values, share) & (values != 0))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def central_share(values: np.ndarray) -> float | None:
    """Share of the absolute map inside the central box of half the width and half the height; none of a blank map."""
    size = np.abs(values.astype(np.float64))
    total = size.sum()
    if not total:
        return None
    height, width = values.shape
    top, left = height // 4, width // 4
    return float(size[top : height - top, left : width - left].sum() / total)
