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
        norm: the norm of the attack whose size is matched, where sigma is not given: linf takes eps as the standard
            deviation, the size of a full step of every value; l2 takes eps over the root of the number of values, so
            that the noise is about eps long.
        sigma: standard deviation, in pixel units; by default what matches eps. The noise is cut to [0, 1], to no ball.
        steps: draws at most; each starts again from the image.
    """

    norm: Norm = "linf"
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
        sigma = rows.column(self._matching(rows) if self.sigma is None else self.sigma)
        drawn = rows.noise.normal(*rows.images.shape[1:])
        rows.adversarial = (rows.images + sigma * drawn).clamp(0, 1)

    def _matching(self, rows: Rows) -> Tensor:
        return rows.eps if self.norm == "linf" else rows.eps / rows.images[0].numel() ** 0.5
