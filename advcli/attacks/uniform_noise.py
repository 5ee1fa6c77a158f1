"""Uniform noise: a control. What a random point of the ball does to the prediction, without any search.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, section 3 (a uniform point of the ball, where PGD
begins); Pintor et al. 2022, https://arxiv.org/abs/2106.09947 (an attack has to be far better than noise).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.norms import BALLS
from advcli.core.rows import Rows

_UNTARGETED = "it does not search"


@dataclass(frozen=True)
class UniformNoise:
    """Draw points uniformly from the ball until the label is gone.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units. A point outside [0, 1] is projected onto what
            the ball and [0, 1] share.
        steps: draws at most; each starts again from the image.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("linf", "l2", "l1"),
        channels=("linf", "l2", "l1"),
        targets="never",
        untargeted=_UNTARGETED,
        needs="labels",
        cost=(1, 0),
    )

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 1

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Draw once."""
        ball = BALLS[self.norm]
        drawn = rows.images + ball.sample(rows.noise, rows.images, rows.eps)
        rows.adversarial = ball.project(drawn, rows.images, rows.eps)
