"""Occlusion: how much the score falls when a window of the picture is covered, window by window.

Source: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901, section 4.2.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.attributions._reach import looks, reachable
from advcli.core.attribution import Traits
from advcli.core.blurring import blurred
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps, Pixels
from advcli.errors import UsageError
from advcli.models.view import View

Fill = Literal["mean", "grey", "zero", "random", "blur"]
Windows = Literal["equal", "captum"]
Spans = list[tuple[int, int]]

TRAITS = Traits(linear={}, fp32=True)

_PLAIN: dict[str, float] = {"zero": 0.0, "grey": 0.5}
_ACROSS = 7  # windows side by side by default, as large as 32 of 224 pixels


def occlusion(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    patch: int | None = None,
    stride: int | None = None,
    fill: Fill = "mean",
    windows: Windows = "equal",
) -> Maps:
    """Cover one window after the other, and give each pixel the mean fall of the score over the windows that cover it.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        noise: random numbers of each image, for ``fill=random``.
        patch: side of the square windows in pixels; by default a seventh of the picture's shorter side.
        stride: pixels from one window to the next; by default half the patch.
        fill: what covers a window, over all channels: the image's mean color, grey, black (zero), uniform noise
            (random; the same for all windows of an image), or the image blurred.
        windows: ``equal``: the last window of a row or column is moved inward, so that all are of one size; ``captum``:
            it is cut off at the border, as captum does, so that less is covered there and the border matters less.

    Returns:
        (N, H, W), in units of the score; positive where covering lowers it.

    Raises:
        UsageError: the patch is larger than the picture, or the stride larger than the patch.
    """
    height, width = view.pixels.shape[2:]
    side = max(1, round(min(height, width) / _ACROSS)) if patch is None else patch
    step = max(1, side // 2) if stride is None else stride
    _refuse_misfits(side, step, height, width)
    down, across = (_spans(length, side, step, windows) for length in (height, width))
    places = torch.tensor([(*rows, *columns) for rows in down for columns in across], device=view.pixels.device)
    cover = _cover(view.pixels, fill, noise)

    total = wide(torch.zeros_like(view.pixels[:, 0]))
    coverage = torch.zeros_like(total[0])
    for rows, index, fall in _falls(view, target, cover, places):
        top, bottom, left, right = places[index].tolist()
        total[rows, top:bottom, left:right] += fall[:, None, None]
    for top, bottom, left, right in places.tolist():
        coverage[top:bottom, left:right] += 1
    return total / coverage


def _falls(view: View, target: Target, cover: Pixels, places: Tensor) -> Iterator[tuple[slice, int, Tensor]]:
    """Give images, the index of a window, and how much their scores (M,) fall when it is covered."""
    height, width = view.pixels.shape[2:]
    whole = target.value(view.logits)

    def occluded(rows: Tensor, indices: Tensor) -> Tensor:
        inside = _inside(places[indices], height, width)
        return torch.where(inside[:, None], cover[rows], view.pixels[rows])

    traced = reachable(view.classifier, places)
    if traced is None:
        for part in view.classifier.sweep(view.pixels, len(places), occluded, graph=False):
            fall = whole[part.rows] - target[part.rows].value(part.logits)
            yield from ((rows, index, fall[here]) for here, rows, index in part.runs())
        return
    for row in range(len(view.pixels)):
        one = slice(row, row + 1)
        for indices, logits in looks(view.classifier, traced, view.pixels[one], cover[one], places):
            falls = whole[one] - target[torch.full((len(indices),), row)].value(logits)
            yield from ((one, index, fall[None]) for index, fall in zip(indices, falls, strict=True))


def _refuse_misfits(side: int, step: int, height: int, width: int) -> None:
    if side > min(height, width):
        raise UsageError(
            f"occlusion: a patch of {side} pixels does not fit into {width} x {height}", "give a smaller patch"
        )
    if step > side:
        raise UsageError(
            f"occlusion: a stride of {step} pixels leaves gaps between patches of {side}", "give a smaller stride"
        )


def _spans(length: int, side: int, step: int, windows: Windows) -> Spans:
    """Lay windows along one axis, (first pixel, first pixel beyond) of each."""
    starts = [place * step for place in range(-(-(length - side) // step) + 1)]
    if windows == "captum":
        return [(start, min(start + side, length)) for start in starts]
    return [(start, start + side) for start in (min(start, length - side) for start in starts)]


def _inside(places: Tensor, height: int, width: int) -> Tensor:
    """Mark the pixels (M, H, W) inside windows given as (M, 4): top, bottom, left, right."""
    top, bottom, left, right = (places[:, [edge]] for edge in range(4))
    down, across = (torch.arange(length, device=places.device) for length in (height, width))
    return ((down >= top) & (down < bottom))[:, :, None] & ((across >= left) & (across < right))[:, None]


def _cover(pixels: Pixels, fill: Fill, noise: SampleNoise) -> Pixels:
    """Make the picture that covers the windows of each image, (N, 3, H, W)."""
    if fill == "blur":
        return blurred(pixels)
    if fill == "mean":
        mean = by_row(lambda row: row.mean((2, 3), keepdim=True), wide(pixels))
        return mean.to(pixels.dtype).expand_as(pixels)
    if fill == "random":
        rows = torch.arange(len(pixels), device=pixels.device)
        return noise.uniform(rows, torch.zeros_like(rows), *pixels.shape[1:]).to(pixels.dtype)
    return torch.full_like(pixels, _PLAIN[fill])
