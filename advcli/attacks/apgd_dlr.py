"""Auto-PGD on the difference of logits ratio: a loss that no rescaling of the logits can hide.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, algorithm 1, equations 6 and 7 (the loss); Croce and Hein
2021, https://arxiv.org/abs/2103.01208, algorithm 1 (l1).
"""

from dataclasses import dataclass

from torch import Tensor

from advcli.attacks import _apgd
from advcli.core.attack import Model
from advcli.core.rows import Rows


@dataclass(frozen=True)
class ApgdDlr(_apgd.Apgd):
    """Climb the margin over the spread of the highest logits, with the steps of ``apgd-ce``.

    To reach a target, the target's lead over the label is climbed, over the spread of the four highest logits. With
    fewer than four classes there is no such spread, and the loss is the margin alone.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations; the checkpoints are fractions of it. Default 100, as in the paper.
        restarts: attempts from other random points, made while an image survives.
    """

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Take one step, after a look back where a checkpoint is due."""
        _apgd.advance(rows, logits, model, _apgd.loss_for(logits.shape[1]), self.norm, self.steps)

    def remark(self, classes: int) -> str | None:
        """Say where there are too few classes for the loss."""
        return _apgd.remark_for("apgd-dlr", classes)
