"""Blur: a control. How far a picture has to be blurred before the prediction changes.

Source: Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261, section 4.1 (blur among the corruptions).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Pixels

_UNTARGETED = "it does not search"


@dataclass(frozen=True)
class Blur:
    """Smooth the image with a Gaussian of growing width, each time from the original, until the label is gone.

    Args:
        sigma: standard deviation of the last and widest Gaussian, in pixels of the network's input.
        steps: widths that are tried, evenly spaced up to ``sigma``.
    """

    traits: ClassVar[Traits] = Traits(targets="never", untargeted=_UNTARGETED, needs="labels", cost=(1, 0))

    sigma: float = 4.0
    steps: int = 20

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Blur with the next width."""
        widths = wide(rows.age + 1) * self.sigma / self.steps
        rows.adversarial = smoothed(rows.images, widths.tolist())


def smoothed(pixels: Pixels, widths: list[float]) -> Pixels:
    """Blur each picture with a Gaussian of its width, in pixels; in float64, what lies beyond the edge mirrored."""
    exact = pixels.cpu().double().numpy()
    found = [gaussian_filter(one, (0, width, width)) for one, width in zip(exact, widths, strict=True)]
    return torch.from_numpy(np.stack(found)).to(pixels).clamp(0, 1)
