"""Expected gradients: integrated gradients, averaged over many baselines, so that no one of them decides.

Source: Erion et al. 2021, https://arxiv.org/abs/1906.10670, section "Expected gradients".
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from advcli.attributions._noise import SampleNoise
from advcli.core.attribution import Traits
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps, Pixels
from advcli.images.crops import sample_crops
from advcli.models.card import Preprocessing
from advcli.models.view import View

TRAITS = Traits(linear={}, fp32=True)


def expected_gradients(
    view: View,
    target: Target,
    *,
    noise: SampleNoise,
    samples: int = 50,
    background: Literal["pictures", "noise"] = "pictures",
    notes: dict[str, Tensor] | None = None,
) -> Maps:
    """Average (image - baseline) times the gradient, at random points between the image and random baselines.

    Args:
        view: of the images.
        target: class and score to explain for each image.
        noise: random numbers of each image's samples.
        samples: baselines that are drawn, each with one point on the line to it. The points lie one in each of as many
            equal parts of the line.
        background: where baselines are drawn from: pictures, the 80 parts of the built-in samples, or noise, uniform in
            every value.
        notes: receives ``completeness_gap``: how far the map's sum is from score(image) minus the mean score of the
            baselines, relative to it. It is due to chance, and falls with the samples.

    Returns:
        (N, H, W), channels summed.
    """
    pixels = wide(view.pixels)
    pictures = _pictures(view.classifier.card.preprocessing) if background == "pictures" else None

    def between(rows: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Baselines, and how far along the line to the image each point lies."""
        drawn = noise.uniform(rows, indices, 2 if pictures is not None else 1 + pixels[0].numel())
        along = ((indices + drawn[:, 0]) / samples).view(-1, 1, 1, 1)
        if pictures is None:
            return drawn[:, 1:].view(len(rows), *pixels.shape[1:]), along
        chosen = (drawn[:, 1] * len(pictures)).long().cpu()
        return wide(pictures[chosen].to(rows.device)), along

    def points(rows: Tensor, indices: Tensor) -> Pixels:
        start, along = between(rows, indices)
        return (start + along * (pixels[rows] - start)).clamp(0, 1).to(view.pixels.dtype)

    total = torch.zeros_like(pixels)
    for part in view.classifier.sweep(view.pixels, samples, points):
        start, _ = between(part.rows, part.indices)
        gradient = part.gradient(target[part.rows].cotangent(part.logits))
        part.add_to(total, gradient * (pixels[part.rows] - start))
    maps = by_row(lambda row: row.sum(1), total / samples)
    if notes is not None:
        baselines = torch.zeros(len(pixels), dtype=pixels.dtype, device=pixels.device)
        starts = view.classifier.sweep(
            view.pixels, samples, lambda *where: between(*where)[0].to(view.pixels.dtype), graph=False
        )
        for part in starts:
            part.add_to(baselines, target[part.rows].value(part.logits))
        rise = target.value(view.logits) - baselines / samples
        gap = (by_row(lambda row: row.sum((1, 2)), maps) - rise).abs()
        notes["completeness_gap"] = torch.where(gap > 0, gap / rise.abs(), 0.0)
    return maps


@lru_cache(maxsize=2)
def _pictures(how: Preprocessing) -> Pixels:
    """The backgrounds at a network's input size, on the CPU."""
    crops = [torch.from_numpy(crop) for crop in sample_crops(how.size, max(how.resize, *how.size), how.interpolation)]
    return torch.stack(crops).float() / 255
