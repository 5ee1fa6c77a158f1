"""Auto-PGD on cross-entropy: projected gradient that chooses its step sizes by itself.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, algorithm 1 and section 3 (linf, l2); Croce and Hein
2021, https://arxiv.org/abs/2103.01208, algorithm 1 (l1).
"""

from dataclasses import dataclass

from torch import Tensor

from advcli.attacks import _apgd
from advcli.core.attack import Model
from advcli.core.rows import Rows


@dataclass(frozen=True)
class ApgdCe(_apgd.Apgd):
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

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step, after a look back where a checkpoint is due."""
        _apgd.advance(rows, logits, model, "log-odds", self.norm, self.steps)
