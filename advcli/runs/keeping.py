"""Photographs in their own size: the model's resize and crop as a differentiable step, and as its reader does them.

The reader resizes a picture of eight bits to another of eight bits. The differentiable step computes the same in
floats, rounds as the reader does, and lets gradients pass the rounding. What is claimed is always what the reader sees.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from advcli.core.grid import LEVELS
from advcli.core.shapes import Pixels
from advcli.images.reading import fit, shortened_size
from advcli.models.card import Preprocessing
from advcli.models.classifier import Classifier


@dataclass(frozen=True)
class Shrinking:
    """From photographs of one size to the input of a model.

    Args:
        how: the model's preprocessing.
        size: (height, width) of the photographs.
    """

    how: Preprocessing
    size: tuple[int, int]

    def __call__(self, pixels: Pixels) -> Tensor:
        """Resize and crop so that gradients pass: (N, 3, H, W) in [0, 1] to the model's size."""
        shorter = shortened_size(self.size, self.how.resize)
        if self.how.interpolation == "nearest":
            row, column = (_nearest(whole, part) for whole, part in zip(self.size, shorter, strict=True))
            resized = pixels[..., row[:, None], column]
        else:
            resized = F.interpolate(pixels, shorter, mode=self.how.interpolation, align_corners=False, antialias=True)
        height, width = self.how.size
        top, left = (round((whole - part) / 2) for whole, part in zip(shorter, self.how.size, strict=True))
        cut = resized[..., top : top + height, left : left + width].clamp(0, 1)
        return cut + ((cut * LEVELS).round() / LEVELS - cut).detach()

    def read(self, pixels: Pixels) -> Tensor:
        """Save and open them as the model's reader would: rounded to eight bits, resized and cropped by Pillow."""
        pictures = (pixels.detach().cpu() * LEVELS).round().to(torch.uint8).movedim(1, 3).numpy()
        read = [fit(Image.fromarray(one), self.how.size, self.how.resize, self.how.interpolation) for one in pictures]
        return torch.from_numpy(np.stack(read)).to(pixels) / LEVELS


def _nearest(whole: int, part: int) -> Tensor:
    """Say which of ``whole`` values Pillow takes for each of ``part``; ties are broken by its own arithmetic."""
    places = Image.fromarray(np.arange(whole, dtype=np.float32)[None])
    return torch.from_numpy(np.asarray(places.resize((part, 1), Image.Resampling.NEAREST))[0].astype(np.int64))


def keeping_size(classifier: Classifier, size: tuple[int, int]) -> Classifier:
    """Give a classifier of photographs in their own size, as the model's reader would show them to it.

    Args:
        classifier: of pictures at its input size.
        size: (height, width) of the photographs, in pixels.
    """
    how = classifier.card.preprocessing
    if size == how.size:
        return classifier
    card = replace(classifier.card, preprocessing=replace(how, size=size, resize=max(size)))
    return classifier.behind(Shrinking(how, size), card)
