"""Auto-PGD on cross-entropy: projected gradient that chooses its step sizes by itself.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, algorithm 1 and section 3 (linf, l2); Croce and Hein
2021, https://arxiv.org/abs/2103.01208, algorithm 1 (l1).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from advcli.attacks import _apgd
from advcli.core.attack import Model, Traits
from advcli.core.rows import Rows


@dataclass(frozen=True)
class ApgdCe:
    """Climb cross-entropy with large steps, and halve them whenever the climb stalls.

    The first step is 2 eps long. At fixed checkpoints, ever closer together, each row looks back: where fewer than
    three quarters of its steps raised the loss, or its best loss has not changed, it halves its step and goes on from
    its best point. In l1 each step moves only the values with the largest gradient, as many as follow from how sparse
    the best perturbation is; the search begins in balls of three times and twice the radius, and what it finds there
    does not count. Cross-entropy is climbed as log-odds: the same directions and the same order of points, with a
    gradient that does not underflow where the network is sure.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations; the checkpoints are fractions of it. Default 100, as in the paper.
        restarts: attempts from other random points, made while an image survives. AutoAttack makes 5 in l1.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"))

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100
    restarts: int = 1

    def __post_init__(self) -> None:
        """In l1 let the rows leave the ball on their way."""
        _apgd.let_roam(self, self.norm)

    def start(self, rows: Rows) -> None:
        """Begin at a random point on the edge of the ball (l1: of a larger one)."""
        _apgd.begin(rows, self.norm, self.steps)

    def steps_for(self, rows: Rows) -> Tensor:
        """Moves of each row, int64 (N,): its steps, and in l1 two moves into a smaller ball."""
        return rows.label * 0 + _apgd.ages(self.norm, self.steps)

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step, after a look back where a checkpoint is due."""
        _apgd.advance(rows, logits, model, "log-odds", self.norm, self.steps)
