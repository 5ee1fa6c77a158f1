"""FAB toward one class after another: one gradient a step, for the smallest perturbation that changes the label.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, section 5 (FAB-T); algorithm 1 of
https://arxiv.org/abs/1907.02044.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from advcli.attacks import _fab
from advcli.attacks.fab import Fab
from advcli.core.attack import Member, Model, Traits
from advcli.core.rows import Rows
from advcli.core.shapes import Flags

_UNTARGETED = "it aims at the most probable classes itself, and any misclassification counts"


@dataclass(frozen=True)
class FabT:
    """Run ``fab`` with the boundary to each of the classes that are most probable on the clean image, one at a time.

    Where there are many classes this is far cheaper than ``fab``, which needs a gradient for each in every step.
    Whatever misclassification is met on the way counts, and the nearest is kept.

    Args:
        norm: in which the perturbation is to be small.
        steps: linearizations toward each class, of one gradient each.
        targets: number of classes that are aimed at, of those beside the label; more than there are means all.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("linf", "l2", "l1"), targets="never", untargeted=_UNTARGETED, keeps="smallest", eps="unused"
    )

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100
    targets: int = 9

    def members(self, classes: int) -> tuple[Member, ...]:
        """One search toward each class that is aimed at."""
        attack = Fab(self.norm, self.steps)
        return tuple(Member("fab-t", attack, rank) for rank in range(1, min(self.targets, classes - 1) + 1))


@dataclass(frozen=True)
class FabWithin:
    """The search of ``fab-t`` as a stage of an ensemble: it ends at the first success within eps.

    Args:
        norm: in which the perturbation is to be small.
        steps: linearizations.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), targets="never", untargeted=_UNTARGETED, eps="reach")

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100

    def start(self, rows: Rows) -> None:
        """Begin at the image."""
        rows.made = torch.zeros_like(rows.label)
        rows.stepped = torch.zeros_like(rows.label, dtype=torch.bool)

    def steps_for(self, rows: Rows) -> Tensor:
        """Moves of each row at most, int64 (N,): every step may be followed by one back."""
        return rows.label * 0 + 2 * self.steps

    def finished(self, rows: Rows) -> Flags:
        """Rows that have made their steps: bool (N,)."""
        return rows.made >= self.steps

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Go back toward the image where the last step crossed the boundary; elsewhere take a step."""
        crossed = rows.stepped & rows.goal.reached(logits)
        moved, stuck = _fab.linearized(rows, logits, model, self.norm, ~crossed)
        rows.adversarial = torch.where(crossed.view(-1, 1, 1, 1), _fab.retreated(rows), moved)
        rows.made = torch.where(stuck, self.steps, rows.made + (~crossed).long())
        rows.stepped = ~crossed
