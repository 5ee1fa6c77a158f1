"""The grid of eight-bit pictures: what of a perturbation survives in a PNG."""

import torch
from torch import Tensor

from advcli.core.norms import BALLS, Ball
from advcli.core.precision import wide
from advcli.core.radii import column, largest, least_share, stretched
from advcli.core.shapes import Floats, Pixels, Radii

LEVELS = 255
SLACK = 1e-6  # of a pixel's range: what float32 makes of k / 255 on the way to a distance and back
_HALVINGS = 10  # of the search for the largest shrunk perturbation that is inside when it is rounded


def to_grid(pixels: Pixels, images: Pixels, eps: Radii, ball: Ball | None) -> Pixels:
    """Round pixels to k / 255 without leaving the ball.

    Each value goes to the nearest level. Where that carries a row out of its ball, a linf row is rounded toward the
    image. In the other balls its perturbation is shrunk by as little as is needed to be inside once it is rounded to
    the nearest level: a perturbation rounded toward the image loses half a level in every value and so most of its
    effect, one that is shrunk keeps its direction.

    Args:
        pixels: (N, 3, H, W) in [0, 1], inside the ball.
        images: the centers, themselves on the grid.
        eps: radii, (N,) or (N, 3).
        ball: none where nothing confines the rows.

    Returns:
        What a PNG of the pixels gives when it is read: float32, each value k / 255.
    """
    nearest = _rounded(pixels)
    if ball is None:
        return nearest
    inside = _inside(nearest, images, eps, ball)
    if inside.all():
        return nearest
    best, out = nearest.clone(), ~inside
    best[out] = _held(pixels[out], images[out], eps[out], ball)
    return best


def snapped(pixels: Pixels) -> Pixels:
    """Put the rows onto the grid that are on it up to rounding errors, so that the point is its own picture.

    A perturbation in steps of whole levels leads from k / 255 to other levels; what float32 makes of the sums differs
    from them in the last bit, and the picture would have to be looked at besides the point.

    Args:
        pixels: (N, 3, H, W) in [0, 1].

    Returns:
        The same, each row as it is or with every value k / 255.
    """
    nearest = _rounded(pixels)
    near = (pixels - nearest).abs().flatten(1).amax(1) <= SLACK
    return torch.where(column(near), nearest, pixels) if near.any() else pixels


def beyond(pixels: Pixels, images: Pixels, eps: Radii, ball: Ball) -> Floats:
    """By how much (N,) the rows leave their balls; not above 0 where rounding errors alone explain it."""
    # In l1 the rounding errors of all values add up.
    values = images[0].numel() if ball is BALLS["l1"] else 1
    if eps.ndim == 1:
        return ball.size(pixels - images) - eps * (1 + SLACK) - SLACK - 3e-8 * values
    # Rounding errors are stretched with the values.
    slack = (SLACK + 3e-8 * values) / least_share(eps).to(eps.dtype)
    return ball.size(stretched(pixels - images, eps)) - largest(eps) * (1 + SLACK) - slack


def _held(pixels: Pixels, images: Pixels, eps: Radii, ball: Ball) -> Pixels:
    """Round rows that leave their ball where they go to the nearest levels."""
    levels = (images * LEVELS).round()
    moved = pixels * LEVELS - levels
    best = (levels + moved.trunc()) / LEVELS
    # A step that misses a whole level by a rounding error has reached it.
    forgiven = ((levels + (moved + moved.sign() * 1e-4).trunc()) / LEVELS).clamp(0, 1)
    best = torch.where(column(_inside(forgiven, images, eps, ball)), forgiven, best)
    if ball is BALLS["linf"]:
        return best
    shrunk = _shrunk(pixels, images, eps, ball)
    nearer = _distance(shrunk, pixels) < _distance(best, pixels)
    return torch.where(column(nearer), shrunk, best)


def _shrunk(pixels: Pixels, images: Pixels, eps: Radii, ball: Ball) -> Pixels:
    """Shrink each perturbation by bisection until it is inside when it is rounded to the nearest level."""
    low, high = eps.new_zeros(len(eps)), eps.new_ones(len(eps))
    best = images
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        candidate = _rounded(images + (pixels - images) * column(middle))
        inside = _inside(candidate, images, eps, ball)
        best = torch.where(column(inside), candidate, best)
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return best


def _rounded(pixels: Pixels) -> Pixels:
    return (pixels * LEVELS).round() / LEVELS


def _inside(pixels: Pixels, images: Pixels, eps: Radii, ball: Ball) -> Tensor:
    return beyond(pixels, images, eps, ball) <= 0


def _distance(first: Pixels, second: Pixels) -> Tensor:
    return wide((first - second).flatten(1)).square().sum(1)
