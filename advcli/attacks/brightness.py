"""Brightness: a control. How much lighter or darker a picture has to be before the prediction changes.

Source: Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261, section 4.1 (brightness among the corruptions;
here the same number is added to all colors, and not to the value in HSV).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range

_UNTARGETED = "it does not search"


@dataclass(frozen=True)
class Brightness:
    """Add a growing number to all values and then subtract it, each time from the image, until the label is gone.

    Args:
        change: the last and largest number, in pixel units.
        steps: pictures that are tried: of each size one lighter and one darker.
    """

    traits: ClassVar[Traits] = Traits(
        targets="never", untargeted=_UNTARGETED, needs="labels", measure="linf", cost=(1, 0)
    )

    change: Annotated[float, Range(0, 1)] = 0.5
    steps: int = 40

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Add the next number; what leaves [0, 1] is cut off."""
        sizes = (self.steps + 1) // 2
        change = wide(rows.age // 2 + 1) * self.change / sizes
        signed = torch.where(rows.age % 2 == 0, change, -change)
        rows.adversarial = (rows.images + rows.column(signed.to(rows.images.dtype))).clamp(0, 1)
