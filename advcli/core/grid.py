"""The grid of eight-bit pictures: what of a perturbation survives in a PNG."""

import torch

from advcli.core.norms import Ball
from advcli.core.shapes import Floats, Pixels

LEVELS = 255
SLACK = 1e-6  # of a pixel's range: what float32 makes of k / 255 on the way to a distance and back


def to_grid(pixels: Pixels, images: Pixels, eps: Floats, ball: Ball | None) -> Pixels:
    """Round pixels to k / 255 without leaving the ball.

    Each pixel goes to the nearest level. Where that carries a row out of its ball, all its pixels go to the next
    level toward the image instead, which no ball can object to.

    Args:
        pixels: (N, 3, H, W) in [0, 1], inside the ball.
        images: the centers, themselves on the grid.
        eps: (N,) radii.
        ball: none where nothing confines the rows.

    Returns:
        What a PNG of the pixels gives when it is read: float32, each value k / 255.
    """
    nearest = (pixels * LEVELS).round() / LEVELS
    if ball is None:
        return nearest
    levels = (images * LEVELS).round()
    moved = pixels * LEVELS - levels
    best = (levels + moved.trunc()) / LEVELS
    # Better ones, where the ball allows: a step that misses a whole level by a rounding error has reached it.
    for candidate in ((levels + (moved + moved.sign() * 1e-4).trunc()) / LEVELS, nearest):
        inside = ball.size(candidate.clamp(0, 1) - images) <= eps + SLACK
        best = torch.where(inside.view(-1, 1, 1, 1), candidate.clamp(0, 1), best)
    return best
