"""What attacks that see only labels share: a picture at the goal to begin with, and labels of candidates."""

import torch
from torch import Tensor

from advcli.core.attack import Model
from advcli.core.rows import Rows
from advcli.core.shapes import Pixels

STRIDE = 1 << 28  # blocks of random numbers that one step may draw
_NOISE = 25  # uniform pictures that are tried where there is no donor


def begun(rows: Rows, logits: Tensor, model: Model) -> tuple[Pixels, Tensor]:
    """Give pictures at the goal: where the rows are, or else the first of some uniform noise that is there.

    Args:
        rows: N of them.
        logits: at their current pixels.
        model: is asked about the noise.

    Returns:
        Pixels (N, 3, H, W), and whether they are at the goal (N,).
    """
    reached = rows.goal.reached(logits)
    places = (~reached).nonzero()[:, 0]
    if not len(places):
        return rows.adversarial, reached
    some = rows[places]
    noise = some.noise.uniform(_NOISE, *rows.images.shape[1:])
    good = asked(some, noise, model, places)
    first = noise[torch.arange(len(some), device=places.device), good.int().argmax(1)]
    found = good.any(1)
    start = torch.where(found.view(-1, 1, 1, 1), first, some.adversarial)
    return rows.adversarial.index_copy(0, places, start), reached.index_copy(0, places, found)


def asked(some: Rows, pixels: Tensor, model: Model, places: Tensor) -> Tensor:
    """Say which candidates are at the goal, bool (n, Q).

    Args:
        some: rows.
        pixels: (n, Q, 3, H, W) of these rows.
        model: is asked.
        places: of the rows in the batch, (n,).
    """
    logits = model.query(pixels, places)
    each = some[torch.arange(len(some), device=places.device).repeat_interleave(pixels.shape[1])]
    return each.goal.reached(logits.flatten(0, 1)).view(pixels.shape[:2])
