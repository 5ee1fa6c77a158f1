"""Transfer: a control that attacks another network, and shows the network in question no more than what came out.

Source: Dong et al. 2018, https://arxiv.org/abs/1710.06081, algorithm 1 (the attack) and section 4 (transfer).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import Tensor

from advcli.attacks.mifgsm import Mifgsm
from advcli.core.attack import Model, Traits
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.registry import Range


@dataclass(frozen=True)
class Transfer:
    """Make all steps of ``mifgsm`` on the network that ``--surrogate`` names, and look where the last one led.

    Success is judged on the network that is attacked, which sees that one point alone. Where its gradients are of use,
    no attack that knows them should do worse.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations on the surrogate.
        decay: share of the remembered direction that is kept in each step.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2"), channels=("linf", "l2"))

    norm: Literal["linf", "l2"] = "linf"
    steps: int = 10
    decay: Annotated[float, Range(0)] = 1.0

    def start(self, rows: Rows) -> None:
        """Begin at the image, with no direction yet."""
        self._inner.start(rows)

    def counts(self, rows: Rows, logits: Tensor) -> Flags:
        """Only where the last step led: bool (N,)."""
        return rows.age >= self.steps

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Add the gradient to the direction, and take one step along it."""
        self._inner.step(rows, logits, model)

    @property
    def _inner(self) -> Mifgsm:
        return Mifgsm(self.norm, self.steps, None, self.decay)
