"""JPEG: a control. How far a picture has to be compressed before the prediction changes.

Source: Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261, section 4.1 (JPEG compression).
"""

import io
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from advcli.core.attack import Model, Traits
from advcli.core.grid import LEVELS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Pixels
from advcli.registry import Range

_UNTARGETED = "it does not search"


@dataclass(frozen=True)
class Jpeg:
    """Save the image as JPEG at falling quality, each time from the original, until the label is gone.

    Args:
        quality: the first and highest, as Pillow counts it: 1 to 95.
        lowest: the last.
        steps: qualities that are tried, evenly spaced from ``quality`` to ``lowest``; a single one is ``lowest``.
    """

    traits: ClassVar[Traits] = Traits(targets="never", untargeted=_UNTARGETED, needs="labels", cost=(1, 0))

    quality: Annotated[int, Range(1, 95)] = 95
    lowest: Annotated[int, Range(1, 95)] = 5
    steps: int = 10

    def start(self, rows: Rows) -> None:
        """Begin at the image."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Compress at the next quality."""
        share = wide(rows.age + 1 if self.steps == 1 else rows.age) / max(1, self.steps - 1)
        qualities = (self.quality + (self.lowest - self.quality) * share).round().long().tolist()
        rows.adversarial = compressed(rows.images, qualities)


def compressed(pixels: Pixels, qualities: list[int]) -> Pixels:
    """Write each picture as JPEG at its quality, 1 to 95, with Pillow's other settings, and read it again."""
    levels = (pixels * LEVELS).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    found = []
    for one, quality in zip(levels, qualities, strict=True):
        file = io.BytesIO()
        Image.fromarray(one).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file).convert("RGB")))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).to(pixels) / LEVELS
