"""Gaussian noise: the control. What chance alone does to the prediction at the size of a real attack.

Source: Szegedy et al. 2014, https://arxiv.org/abs/1312.6199, section 4.2 (Gaussian noise as the control).
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import Norm
from advcli.core.rows import Rows
from advcli.registry import Range

_UNTARGETED = "it does not search"


@dataclass(frozen=True)
class GaussianNoise:
    """Add independent normal noise to every value of the image, and try again until the label is gone.

    Args:
        norm: in which eps is read, where sigma is not given: linf takes eps as the standard deviation, the size of a
            full step of every value; l2 takes eps over the root of the number of values, so that the noise is about
            eps long; l1 takes the standard deviation at which the sum of the changes is about eps.
        sigma: standard deviation, in pixel units; by default what matches eps. The noise is cut to [0, 1], to no ball.
        steps: draws at most; each starts again from the image.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("linf", "l2", "l1"),
        eps="magnitude",
        channels=("linf", "l2", "l1"),
        targets="never",
        untargeted=_UNTARGETED,
        needs="labels",
        cost=(1, 0),
    )

    norm: Norm = "linf"
    sigma: Annotated[float | None, Range(0)] = None
    steps: int = 1

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Draw once."""
        sigma = rows.column(self._matching(rows) if self.sigma is None else self.sigma)
        drawn = rows.noise.normal(*rows.images.shape[1:])
        rows.adversarial = (rows.images + sigma * drawn).clamp(0, 1)

    def _matching(self, rows: Rows) -> Tensor:
        values = rows.images[0].numel()
        # The mean size of a standard normal number is sqrt(2 / pi).
        lengths: dict[Norm, float] = {"linf": 1.0, "l2": values**0.5, "l1": values * (2 / math.pi) ** 0.5}
        return rows.eps / lengths[self.norm]
