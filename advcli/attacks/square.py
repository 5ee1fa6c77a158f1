"""Square attack: random search with square windows, which needs the logits and no gradient.

Source: Andriushchenko et al. 2020, https://arxiv.org/abs/1912.00049, algorithms 1 to 3 and section 3.2 (schedule); for
l1 Croce and Hein 2021, https://arxiv.org/abs/2103.01208, section 4.3.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from advcli.core.attack import Traits
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.radii import largest
from advcli.core.rows import Rows
from advcli.registry import Range

# Proposals after which the area of the window is halved, for a search of _SCHEDULE proposals.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_SCHEDULE = 10_000
_TINY = 1e-12


@dataclass(frozen=True)
class Square:
    """Change one random square window at a time, and keep a change that raises the margin loss.

    In linf every value of the picture stays ``eps`` away from the image, or at 0 or 1; a proposal draws a window and
    one sign for each of its colors. In l2 the perturbation stays ``eps`` long, where [0, 1] allows; a proposal takes
    what a second window holds away and adds it to the first, in the shape of two peaks of opposite sign. Windows and
    signs are drawn for every row by itself, and a window can lie at any place inside the picture. l1 is as l2, with
    sums of absolute values for lengths, and the nearest point of ball and [0, 1] for every proposal.

    Args:
        norm: of the ball; its radius is each row's ``eps``, in pixel units.
        steps: the most proposals; each is one query.
        p_init: fraction of the picture's area that the window has at first. It is halved after 10, 50, 200, 500, 1000,
            2000, 4000, 6000 and 8000 proposals. Default 0.8, as in AutoAttack.
        rescale_schedule: shrink these numbers from a search of 10,000 proposals to one of ``steps`` (or of the queries
            that are allowed), as in the paper. AutoAttack does not.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), channels=("linf",), needs="scores", cost=(1, 0))

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 5000
    p_init: Annotated[float, Range(0, 1)] = 0.8
    rescale_schedule: bool = True

    def start(self, rows: Rows) -> None:
        """Begin at vertical stripes (linf), or at a tiling with pairs of peaks (l2), on the ball's surface."""
        start = _stripes(rows) if self.norm == "linf" else _tiles(rows, self.norm)
        rows.adversarial = BALLS[self.norm].project(start, rows.images, rows.eps)
        rows.margin = torch.full_like(wide(largest(rows.eps)), -torch.inf)

    def propose(self, rows: Rows) -> Tensor:
        """Draw a window of every row and change it, (N, 3, H, W)."""
        sides = self.window_sides(rows)
        if self.norm == "linf":
            draws = rows.noise.uniform(5)
            inside = _inside(_corner(draws[:, :2], sides, rows), sides, rows)
            changed = rows.images + _signs(draws[:, 2:]) * rows.column(rows.eps)
            proposed = torch.where(inside, changed, rows.adversarial)
        else:
            proposed = _towards(_moved(rows, sides, self.norm), rows, self.norm)
        return BALLS[self.norm].project(proposed, rows.images, rows.eps)

    def accept(self, rows: Rows, pixels: Tensor, logits: Tensor) -> Tensor:
        """Accept a higher margin, and whatever is at the goal: bool (N,)."""
        margin = rows.goal.loss(logits, "margin")
        accepted = (margin > rows.margin) | (margin > 0)
        rows.margin = margin
        return accepted

    def window_sides(self, rows: Rows) -> Tensor:
        """Side of each row's next window in pixels, int64 (N,): at least 1; in l2, l1 odd and, if 3 fit, at least 3."""
        height, width = rows.images.shape[2:]
        proposals = wide(rows.age)
        if self.rescale_schedule:
            proposals = (proposals * _SCHEDULE / rows.budget.clamp(max=self.steps)).floor()
        halvings = (proposals[:, None] > proposals.new_tensor(_HALVINGS)).sum(1)
        sides = (self.p_init * height * width / 2.0**halvings).sqrt().round().long()
        most = min(height, width)
        if self.norm != "linf":
            return (sides.clamp(min=3) // 2 * 2 + 1).clamp(max=(most - 1) // 2 * 2 + 1)
        return sides.clamp(1, most)


def _signs(draws: Tensor) -> Tensor:
    """Uniform draws (N, 3) to signs (N, 3, 1, 1), one per color."""
    return torch.where(draws < 0.5, -1.0, 1.0)[:, :, None, None]


def _corner(draws: Tensor, sides: Tensor, rows: Rows) -> Tensor:
    """Uniform draws (N, 2) to the upper left corners of windows: every place where the window fits has its share."""
    height, width = rows.images.shape[2:]
    choices = torch.stack([height - sides, width - sides], 1) + 1
    return (wide(draws) * choices).long().minimum(choices - 1)


def _inside(corner: Tensor, sides: Tensor, rows: Rows) -> Tensor:
    """Mask (N, 1, H, W) of windows."""
    height, width = rows.images.shape[2:]
    offsets = (
        torch.arange(length, device=sides.device) - corner[:, axis, None] for axis, length in enumerate((height, width))
    )
    row, column = ((offset >= 0) & (offset < sides[:, None]) for offset in offsets)
    return (row[:, :, None] & column[:, None, :])[:, None]


def _stripes(rows: Rows) -> Tensor:
    """Columns of one sign per color, ``eps`` high, on each image."""
    width = rows.images.shape[3]
    signs = rows.noise.sign(3, 1, width)
    return rows.images + signs * rows.column(rows.eps)


def _tiles(rows: Rows, norm: Norm) -> Tensor:
    """Five by five pairs of peaks on each image (more by the longer side), each turned and signed at random."""
    height, width = rows.images.shape[2:]
    side = max(1, min(height, width) // 5)
    down, across = height // side, width // side
    draws = rows.noise.uniform(down, across, 4)
    delta = wide(torch.zeros_like(rows.images))
    peaks = two_peaks(side).to(delta)
    upright = (draws[..., 0] < 0.5)[..., None, None]
    tiles = torch.where(upright, peaks, peaks.T)[:, None]  # (N, 1, down, across, side, side)
    signs = torch.where(draws[..., 1:] < 0.5, -1.0, 1.0).permute(0, 3, 1, 2)[..., None, None]
    top, left = (height - down * side) // 2, (width - across * side) // 2
    tiled = (tiles * signs).permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)
    delta[:, :, top : top + down * side, left : left + across * side] = tiled
    return _towards(delta, rows, norm)


def _towards(delta: Tensor, rows: Rows, norm: Norm) -> Tensor:
    """The images plus perturbations in the direction of ``delta`` (N, 3, H, W), ``eps`` long."""
    length = _length(delta, (1, 2, 3), norm)
    return rows.images + (delta / (length + _TINY) * rows.column(rows.eps)).to(rows.images.dtype)


def _moved(rows: Rows, sides: Tensor, norm: Norm) -> Tensor:
    """Perturbations in which a window has taken over what another one held, float64 (N, 3, H, W)."""
    draws = rows.noise.uniform(8)
    delta = wide(rows.adversarial - rows.images)
    corners = [_corner(draws[:, place : place + 2], sides, rows) for place in (0, 2)]
    first, second = (_inside(corner, sides, rows) for corner in corners)
    power = 1 if norm == "l1" else 2
    spare = (wide(rows.eps) ** power - delta.abs().pow(power).sum((1, 2, 3))).clamp(min=0)[:, None] / 3
    held = (delta.abs().pow(power) * (first | second)).sum((2, 3))  # (N, 3)
    length = (spare + held).pow(1 / power)[:, :, None, None]
    emptied = torch.where(second, 0.0, delta)
    for side in sorted(set(sides.tolist())):
        chosen = (sides == side).nonzero()[:, 0]
        peaks = two_peaks(side).to(delta)
        upright = (draws[chosen, 4] < 0.5)[:, None, None, None]
        shape = _unit(torch.where(upright, peaks, peaks.T) * _signs(draws[chosen, 5:]), norm)
        place = _places(chosen, corners[0][chosen], side)
        shape = shape + _unit(delta[place], norm)
        emptied[place] = _unit(shape, norm) * length[chosen]
    return emptied


def _unit(windows: Tensor, norm: Norm) -> Tensor:
    """Scale each color of each window (n, 3, s, s) to length 1; nothing stays nothing."""
    return windows / (_length(windows, (2, 3), norm) + _TINY)


def _length(values: Tensor, axes: tuple[int, ...], norm: Norm) -> Tensor:
    """Length over some axes, which are kept: Euclidean, or in l1 the sum of absolute values."""
    return values.abs().sum(axes, keepdim=True) if norm == "l1" else values.square().sum(axes, keepdim=True).sqrt()


def _places(chosen: Tensor, corner: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index of the windows (n, 3, side, side) of the chosen rows in a tensor (N, 3, H, W)."""
    span = torch.arange(side, device=chosen.device)
    colors = torch.arange(3, device=chosen.device)
    row, column = (corner[:, axis, None] + span for axis in (0, 1))
    return chosen[:, None, None, None], colors[:, None, None], row[:, None, :, None], column[:, None, None, :]


@lru_cache(maxsize=64)
def two_peaks(side: int) -> Tensor:
    """Two pyramids of opposite sign, one above the other: float64 (side, side), of length 1.

    Each falls with its rings by the sum of 1 / k^2 over the rings k that enclose a place (algorithm 3 of the paper).
    """
    upper = side // 2
    peaks = torch.cat([_pyramid(upper, side), -_pyramid(side - upper, side)])
    return peaks / peaks.square().sum().sqrt()


def _pyramid(height: int, width: int) -> Tensor:
    """One pyramid (height, width) of length 1."""
    rings = max(height, width) // 2 + 1
    row, column = ((torch.arange(length) - length // 2).abs() for length in (height, width))
    ring = torch.maximum(row[:, None], column)
    heights = (1 / torch.arange(1, rings + 1, dtype=torch.float64).square()).flip(0).cumsum(0).flip(0)
    pyramid = heights[ring]
    return pyramid / pyramid.square().sum().sqrt()
