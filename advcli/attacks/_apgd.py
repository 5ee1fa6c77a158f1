"""Auto-PGD: projected gradient with momentum whose step size follows from how the loss went, each row by itself.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, algorithm 1 and section 3 (linf, l2); Croce and Hein
2021, https://arxiv.org/abs/2103.01208, algorithm 1 and section 3 (l1, with its decreasing radii).
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.goals import LossName
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.radii import by_row, largest
from advcli.core.rows import Rows

LEAST_CLASSES = 4  # that the DLR loss toward a class needs
RISES = 0.75  # rho: share of the steps between two checkpoints that have to raise the loss
MOMENTUM = 0.75  # alpha: share of the new step; the rest repeats the last one
RADII = ((3.0, 0.3), (2.0, 0.3), (1.0, 0.4))  # l1: radius in eps, and share of the steps that are made within it
_FIRST_SHARE = 0.2  # l1: of all values, what the first step of a search would move
_FEWER = 1.5  # l1: a step moves the number of values in which the best point differs, divided by this
_SPARSER = 0.95  # l1: the number of moved values counts as falling below this share of the last one
_SHRINK, _LEAST = 1.5, 0.1  # l1: what a step size is divided by, and its least value, in radii


@lru_cache
def checkpoints(steps: int) -> tuple[int, ...]:
    """Steps at which the step size may be halved.

    p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06), and w_j is p_j times the number of steps,
    rounded up. A sum such as 0.22 + 0.19 + 0.16 must not pass 0.57 by a rounding error.

    Args:
        steps: of a search.

    Returns:
        The w_j from 1 to ``steps``, ascending: 22, 41, 57, 70, 80, 87, 93 and 99 for 100 steps.
    """
    places = [0.0, 0.22]
    while places[-1] < 1:
        places.append(places[-1] + max(places[-1] - places[-2] - 0.03, 0.06))
    found = (math.ceil(place * steps - 1e-9) for place in places[1:])
    return tuple(sorted({one for one in found if one <= steps}))


@lru_cache
def phases(norm: Norm, steps: int) -> tuple[tuple[int, float], ...]:
    """Parts of a search: the age at which each begins, and its radius in eps.

    In l1 the search begins in a ball of three times the radius, goes on in one of twice the radius and ends in the
    ball itself. The point that a part begins at is looked at before its first step, so each part takes one age more
    than it has steps.
    """
    if norm != "l1":
        return ((0, 1.0),)
    counts = [math.ceil(share * steps - 1e-9) for _, share in RADII]
    counts[-1] = max(0, steps - sum(counts[:-1]))
    begins = [sum(counts[:place]) + place for place in range(len(counts))]
    return tuple((begin, radius) for begin, (radius, _) in zip(begins, RADII, strict=True))


def ages(norm: Norm, steps: int) -> int:
    """Number of moves of a search with so many gradient steps."""
    return steps + len(phases(norm, steps)) - 1


@dataclass(frozen=True)
class Apgd:
    """What the searches have in common; their losses differ.

    Args:
        norm: of the ball.
        steps: gradient evaluations.
        restarts: attempts from other random points.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), channels=("linf", "l2"))

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100
    restarts: int = 1

    def __post_init__(self) -> None:
        """In l1 let the rows leave the ball on their way."""
        if self.norm == "l1":
            object.__setattr__(self, "traits", dataclasses.replace(self.traits, eps="reach"))

    def start(self, rows: Rows) -> None:
        """Begin at a random point on the edge of the ball (l1: of a larger one)."""
        begin(rows, self.norm, self.steps)

    def steps_for(self, rows: Rows) -> Tensor:
        """Moves of each row, int64 (N,): its steps, and in l1 two moves into a smaller ball."""
        return rows.label * 0 + ages(self.norm, self.steps)


def loss_for(classes: int) -> LossName:
    """The DLR loss, and the margin where there are fewer than the four classes that its targeted form needs."""
    return "dlr" if classes >= LEAST_CLASSES else "margin"


def remark_for(name: str, classes: int) -> str | None:
    """Say that the loss is not what an attack is called after."""
    if classes >= LEAST_CLASSES:
        return None
    return f"{name}: the DLR loss needs {LEAST_CLASSES} classes; with {classes} the loss is the margin"


def begin(rows: Rows, norm: Norm, steps: int) -> None:
    """Go to a random point on the edge of the ball (l1: anywhere), and remember nothing yet.

    Args:
        rows: new ones; given what ``advance`` remembers.
        norm: of the ball.
        steps: gradient steps of the search.
    """
    radius = rows.eps * phases(norm, steps)[0][1]
    shape = rows.images.shape[1:]
    if norm == "linf":
        draw = rows.noise.uniform(*shape) * 2 - 1
        offset = draw / rows.column(BALLS["linf"].size(draw).clamp(min=1e-12)) * rows.column(radius)
    elif norm == "l2":
        offset = BALLS["l2"].steepest(rows.noise.normal(*shape)) * rows.column(radius)
    else:
        offset = rows.noise.normal(*shape)
    rows.adversarial = BALLS[norm].project(rows.images + offset, rows.images, radius)
    rows.last = rows.adversarial
    rows.top, rows.top_gradient = rows.adversarial, torch.zeros_like(rows.images)
    rows.loss = torch.full_like(wide(largest(rows.eps)), -torch.inf)
    rows.top_loss, rows.checked_loss = rows.loss, rows.loss
    rows.step_size = torch.zeros_like(rows.eps)
    rows.rises = torch.zeros_like(rows.label)
    rows.halved = torch.zeros_like(rows.label, dtype=torch.bool)
    rows.moved = torch.zeros_like(rows.label)
    rows.spread = torch.zeros_like(rows.label)


def advance(rows: Rows, logits: Tensor, model: Model, loss: LossName, norm: Norm, steps: int) -> None:
    """Take one step of the search.

    Args:
        rows: that search.
        logits: (N, K) at their current points.
        model: gives the gradients.
        loss: to climb.
        norm: of the ball.
        steps: gradient steps of the search.
    """
    parts = phases(norm, steps)
    begins = torch.tensor([age for age, _ in parts], device=rows.label.device)
    part = (rows.age[:, None] >= begins).sum(1) - 1
    radii = by_row(rows.eps.new_tensor([radius for _, radius in parts])[part], rows.eps)
    value = rows.goal.loss(logits, loss)
    first = rows.age == begins[part]
    gradient = _remembered(rows, value, first, model.vjp(rows.goal.ascent(logits, loss)))
    if norm == "l1":
        gradient = _sparser(rows, first, radii, gradient)
        _step_l1(rows, radii, gradient)
        _next_part(rows, begins, rows.eps.new_tensor([radius for _, radius in parts]))
    else:
        gradient = _halved(rows, first, radii, gradient, checkpoints(steps))
        _step(rows, radii, gradient, norm, first)


def _remembered(rows: Rows, value: Tensor, first: Tensor, gradient: Tensor) -> Tensor:
    """Note the loss (N,) and gradient of the current point, and whether it is the best; begin anew where ``first``."""
    rows.rises = torch.where(first, 0, rows.rises + (value > rows.loss).long())
    better = first | (value > rows.top_loss)
    rows.loss = value
    rows.top_loss = torch.where(better, value, rows.top_loss)
    rows.checked_loss = torch.where(first, value, rows.checked_loss)
    column = better.view(-1, 1, 1, 1)
    rows.top = torch.where(column, rows.adversarial, rows.top)
    rows.top_gradient = torch.where(column, gradient, rows.top_gradient)
    return gradient


def _halved(rows: Rows, first: Tensor, radii: Tensor, gradient: Tensor, places: Sequence[int]) -> Tensor:
    """At a checkpoint halve the step size where the search stalls, and go back to the best point; give the gradient.

    It stalls where too few of the steps since the last checkpoint raised the loss, or where the best loss is still that
    of the last checkpoint although the step size was not halved there.
    """
    rows.step_size = _where(first, 2 * radii, rows.step_size)
    rows.halved = rows.halved & ~first
    marks = torch.tensor((0, *places), device=rows.age.device)
    turn = (rows.age[:, None] > marks).sum(1).clamp(max=len(places))  # of the checkpoint that comes next or is now
    due = (rows.age == marks[turn]) & (rows.age > 0)
    window = marks[turn] - marks[(turn - 1).clamp(min=0)]
    few = rows.rises < RISES * window
    stuck = ~rows.halved & (rows.top_loss == rows.checked_loss)
    back = due & (few | stuck)
    rows.step_size = _where(back, rows.step_size / 2, rows.step_size)
    rows.halved = torch.where(due, back, rows.halved)
    rows.checked_loss = torch.where(due, rows.top_loss, rows.checked_loss)
    rows.rises = torch.where(due, 0, rows.rises)
    return _back_to_top(rows, back, gradient)


def _where(mask: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Radii of ``first`` for the rows (N,) that a mask chooses, and of ``second`` for the others."""
    return torch.where(mask.view(-1, *[1] * (first.ndim - 1)), first, second)


def _back_to_top(rows: Rows, back: Tensor, gradient: Tensor) -> Tensor:
    column = back.view(-1, 1, 1, 1)
    rows.adversarial = torch.where(column, rows.top, rows.adversarial)
    return torch.where(column, rows.top_gradient, gradient)


def _step(rows: Rows, radii: Tensor, gradient: Tensor, norm: Norm, first: Tensor) -> None:
    """Step along the gradient, mixed with the last move."""
    ball, here = BALLS[norm], rows.adversarial
    ahead = ball.project(ball.ascend(here, gradient, rows.step_size), rows.images, radii)
    share = rows.column(torch.where(first, 1.0, MOMENTUM))
    mixed = here + (ahead - here) * share + (here - rows.last) * (1 - share)
    rows.adversarial = ball.project(mixed, rows.images, radii)
    rows.last = here


def _sparser(rows: Rows, first: Tensor, radii: Tensor, gradient: Tensor) -> Tensor:
    """After every step set how many values the next one moves, and its length; give the gradient (l1).

    Where the best point has moved fewer values than before, the step size starts again from the radius and the search
    from the best point; elsewhere the step size shrinks.
    """
    values = rows.images[0].numel()
    moved = (rows.top != rows.images).flatten(1).sum(1)
    fewer = ~first & (moved < _SPARSER * rows.moved)
    shrunk = torch.maximum(rows.step_size / _SHRINK, _LEAST * radii)
    rows.step_size = torch.where(first | fewer, radii, shrunk)
    many = math.ceil(_FIRST_SHARE * values)  # where the start is the image itself
    rows.spread = torch.where(first & (moved == 0), many, (moved / _FEWER - 1e-6).ceil().long().clamp(min=1))
    rows.moved = moved
    return _back_to_top(rows, fewer, gradient)


def _step_l1(rows: Rows, radii: Tensor, gradient: Tensor) -> None:
    """Move the values with the largest gradient by the same amount each (l1)."""
    flat = gradient.flatten(1)
    least = flat.abs().sort(dim=1, descending=True).values.gather(1, rows.spread[:, None] - 1)
    signs = (flat.sign() * (flat.abs() >= least)).view_as(gradient)
    length = rows.step_size / BALLS["l1"].size(signs).clamp(min=1)
    moved = rows.adversarial + signs * rows.column(length)
    rows.last = rows.adversarial
    rows.adversarial = BALLS["l1"].project(moved, rows.images, radii)


def _next_part(rows: Rows, begins: Tensor, radii: Tensor) -> None:
    """Where a part has made its steps, go to the best point's place in the next ball instead (l1)."""
    behind = (rows.age[:, None] + 1 == begins[1:]).any(1)
    if behind.any():
        radius = radii[(rows.age[:, None] + 1 >= begins).sum(1) - 1] * rows.eps
        inside = BALLS["l1"].project(rows.top, rows.images, radius)
        rows.adversarial = torch.where(behind.view(-1, 1, 1, 1), inside, rows.adversarial)
