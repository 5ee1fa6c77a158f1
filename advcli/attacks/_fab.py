"""The steps of FAB: behind the linearized boundary, drawn toward the image; and back toward the image from there.

Source: Croce and Hein 2020, https://arxiv.org/abs/1907.02044, algorithm 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.attacks._hyperplanes import to_hyperplane
from advcli.core.attack import Model
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Flags

DRAWN = 0.1  # alpha_max: the largest share with which a step is drawn toward the image
OVERSHOOT = 1.05  # eta: how far behind the linearized boundary a step leads
BACK = 0.9  # beta: what is left of a perturbation when a row goes back toward the image
DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}  # norm of the gradient that measures distances
_VALUES_AT_ONCE = 1 << 24  # of gradients that are held in memory, 64 MiB


def linearized(
    rows: Rows, logits: Tensor, model: Model, norm: Norm, where: Flags, overshoot: float = OVERSHOOT
) -> tuple[Tensor, Tensor]:
    """Take a step behind the linearized boundary, drawn toward the image.

    Args:
        rows: N of them; those that aim at a class cost one gradient, the others one per class beside the label.
        logits: (N, K) at their current points.
        model: gives the gradients.
        norm: in which the perturbation is to be small.
        where: bool (N,), rows that step.
        overshoot: eta of the paper.

    Returns:
        The new points (N, 3, H, W), those of other rows unchanged; and bool (N,), rows that found no gradient.
    """
    moved, stuck, places = rows.adversarial, torch.zeros_like(where), where.nonzero()[:, 0]
    if len(places):
        ahead, lost = _steps(rows[places], logits[places], places, model, norm, overshoot)
        moved, stuck = moved.index_copy(0, places, ahead), stuck.index_copy(0, places, lost)
    return moved, stuck


def retreated(rows: Rows) -> Tensor:
    """Points a tenth of the way back to the images, (N, 3, H, W)."""
    return rows.images + BACK * (rows.adversarial - rows.images)


def _steps(
    rows: Rows, logits: Tensor, places: Tensor, model: Model, norm: Norm, overshoot: float
) -> tuple[Tensor, Tensor]:
    gap, normal = _nearest_boundary(rows, logits, places, model, norm)
    flat = BALLS["linf"].size(normal) == 0
    here = to_hyperplane(rows.adversarial, normal, gap, norm)
    offset = wide(rows.adversarial - rows.images)
    # The hyperplane <normal, z - x> = gap, seen from the image.
    across = wide(gap) + (wide(normal) * offset).flatten(1).sum(1)
    there = to_hyperplane(rows.images, normal, across, norm)
    near, far = (BALLS[norm].size(change) for change in (here, there))
    share = (near / (near + far).clamp(min=1e-300)).clamp(max=DRAWN).view(-1, 1, 1, 1)
    # Both ends of the mixture as perturbations of the image.
    mixed = (1 - share) * (offset + overshoot * here) + share * overshoot * there
    moved = (wide(rows.images) + mixed).to(rows.images.dtype).clamp(0, 1)
    return torch.where(flat.view(-1, 1, 1, 1), rows.adversarial, moved), flat


def _nearest_boundary(rows: Rows, logits: Tensor, places: Tensor, model: Model, norm: Norm) -> tuple[Tensor, Tensor]:
    """The gap (n,) between the label's logit and another class's, and the gradient (n, 3, H, W) of their difference.

    The other class is the one aimed at, or the one whose linearized boundary with the label is nearest.
    """
    aimed = rows.goal.aimed
    if (aimed >= 0).all():
        rivals = aimed[:, None]
    else:
        others = torch.arange(logits.shape[1] - 1, device=logits.device).expand(len(rows), -1)
        rivals = others + (others >= rows.label[:, None]).long()
    most = max(1, _VALUES_AT_ONCE // rows.images.numel())
    gap, normal = torch.zeros_like(wide(rows.eps)), torch.zeros_like(rows.images)
    distance = torch.full_like(gap, torch.inf)
    for some in torch.split(rivals, most, dim=1):
        cotangents = F.one_hot(some, logits.shape[1]) - F.one_hot(rows.label, logits.shape[1])[:, None]
        gradients = model.vjp(cotangents.to(logits.dtype), places)  # (n, C, K) -> (n, C, 3, H, W)
        gaps = wide(logits).gather(1, rows.label[:, None]) - wide(logits).gather(1, some)
        sizes = wide(BALLS[DUAL[norm]].size(gradients.flatten(0, 1))).view_as(gaps)
        nearest, which = torch.where(sizes > 0, gaps.abs() / sizes, torch.inf).min(1)
        better = nearest < distance
        every = torch.arange(len(rows), device=which.device)
        distance = torch.where(better, nearest, distance)
        gap = torch.where(better, gaps[every, which], gap)
        normal = torch.where(better.view(-1, 1, 1, 1), gradients[every, which], normal)
    return gap, normal
