"""Gaussian noise: the control. What chance alone does to the prediction at the size of a real attack.

Source: Szegedy et al. 2014, https://arxiv.org/abs/1312.6199, section 4.2 (Gaussian noise as the control).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from torch import Tensor

from advcli.core.norms import Norm
from advcli.core.rows import Pull, RowNoise, Rows
from advcli.registry import Range


@dataclass(frozen=True)
class GaussianNoise:
    """Add independent normal noise to every value of the image, and try again until the label is gone.

    Args:
        sigma: standard deviation, in pixel units. By default eps, the size of a full linf step of every value; the
            noise is cut to [0, 1] but not to a ball.
        steps: draws at most; each starts again from the image.
    """

    sigma: Annotated[float | None, Range(0)] = None
    steps: int = 1

    norms: ClassVar[tuple[Norm, ...]] = ()
    scale: ClassVar[Literal["size"]] = "size"
    targets: ClassVar[Literal["never"]] = "never"
    needs: ClassVar[Literal["labels"]] = "labels"

    def start(self, rows: Rows, noise: RowNoise) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, pull: Pull) -> None:
        """Draw once."""
        sigma = rows.column(rows.eps if self.sigma is None else self.sigma)
        drawn = rows.noise.normal(*rows.images.shape[1:])
        rows.adversarial = (rows.images + sigma * drawn).clamp(0, 1)
