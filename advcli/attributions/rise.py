"""RISE: how high the score is, on average, where a pixel can be seen through random masks.

Source: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421, section 3; the masks are those of their code.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.core.attribution import Traits
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Floats, Maps
from advcli.models.view import View
from advcli.registry import Range

TRAITS = Traits(linear={})


def rise(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    masks: int = 1000,
    cells: int = 7,
    visible: Annotated[float, Range(0.01, 0.99)] = 0.5,
    smooth: bool = True,
    centered: bool = True,
) -> Maps:
    """Look at the image through random masks, and average the score over the masks, weighted by what they show.

    The average of a pixel is divided by how much the masks showed of it, not by how much they would in the long run:
    with few masks some pixels are seen more often, and would look more important. The masks multiply the pixels, so
    what is hidden is black.

    Args:
        view: of the images.
        target: class and score to explain for each image; the paper's is ``prob``.
        noise: random numbers of each image's masks.
        masks: of each image; the paper has 4000 to 8000.
        cells: of a mask, along each side.
        visible: probability that a cell shows the image.
        smooth: enlarge the cells bilinearly and move them by less than a cell at random, as the paper does; otherwise
            cells have hard edges and stay where they are.
        centered: take away the mean score over all masks, so that a pixel that does not matter is 0; the paper does
            not, and its maps are that mean higher.

    Returns:
        (N, H, W), in units of the score: that expected where a pixel is seen, minus that expected at all.
    """
    height, width = view.pixels.shape[2:]
    drawn: list[Tensor] = []

    def seen(rows: Tensor, indices: Tensor) -> Tensor:
        numbers = noise.uniform(rows, indices, cells * cells + 2)
        drawn[:] = [_masks(numbers, cells, visible, (height, width), smooth=smooth)]
        return (wide(view.pixels)[rows] * drawn[0][:, None]).to(view.pixels.dtype)

    whole = target.value(view.logits)
    total, shown = (torch.zeros_like(wide(view.pixels[:, 0])) for _ in range(2))
    change: Floats = torch.zeros_like(whole)
    for part in view.classifier.sweep(view.pixels, masks, seen, graph=False):
        # Against the score of the whole image, so that a score that never changes gives exactly 0.
        values = target[part.rows].value(part.logits) - whole[part.rows]
        part.add_to(total, values[:, None, None] * drawn[0])
        part.add_to(shown, drawn[0])
        part.add_to(change, values)
    mean = torch.where(shown > 0, total / shown, (change / masks)[:, None, None])
    return mean - (change / masks if centered else -whole)[:, None, None]


def _masks(numbers: Tensor, cells: int, visible: float, size: tuple[int, int], *, smooth: bool) -> Tensor:
    """Make masks (M, H, W) in [0, 1] of uniform numbers (M, cells * cells + 2): one a cell, and two for the move."""
    height, width = size
    grids = (numbers[:, :-2] < visible).to(numbers.dtype).view(-1, 1, cells, cells)
    cell = (-(-height // cells), -(-width // cells))
    if not smooth:
        rows, columns = (
            torch.arange(length, device=numbers.device) // side for length, side in zip(size, cell, strict=True)
        )
        return grids[:, 0][:, rows][:, :, columns]
    moves = (numbers[:, -2:] * torch.tensor(cell, device=numbers.device)).long().view(-1, 1, 1, 2)

    def one(grid: Tensor, move: Tensor) -> Tensor:
        large = F.interpolate(grid, tuple((cells + 1) * side for side in cell), mode="bilinear", align_corners=False)
        top, left = move.flatten().tolist()
        return large[:, 0, top : top + height, left : left + width]

    return by_row(one, grids, moves)
