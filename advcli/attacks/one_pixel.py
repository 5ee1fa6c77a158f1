"""The one-pixel attack: differential evolution of the place and the color of a few pixels.

Source: Su et al. 2019, https://arxiv.org/abs/1710.08864, section III.B and III.C.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from advcli.attacks._minimum_norm import on_grid
from advcli.core.attack import Model, Traits
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.registry import Range

_VALUES_AT_ONCE = 1 << 25  # of candidates that are held in memory, 128 MiB


@dataclass(frozen=True)
class OnePixel:
    """Search for a few pixels whose color decides, with the scores of all classes and no gradient.

    A population of candidates, each the places and colors of ``pixels`` pixels, is drawn at random: places uniformly,
    colors normally around 0.5. In every generation each candidate is challenged by the sum of one candidate and
    ``mutation`` times the difference of two others, and the one with the higher log-odds of the goal stays.

    Args:
        pixels: that change.
        steps: generations, the first population included; each costs ``population`` queries.
        population: candidates, at least 4.
        mutation: factor of the difference.
    """

    traits: ClassVar[Traits] = Traits(needs="scores", measure="l0", cost=(1, 0))

    pixels: int = 1
    steps: int = 101
    population: Annotated[int, Range(4)] = 400
    mutation: Annotated[float, Range(0, 2)] = 0.5

    def start(self, rows: Rows) -> None:
        """Draw the first population."""
        places = rows.noise.uniform(self.population, self.pixels, 2)
        colors = 0.5 + 0.5 * rows.noise.normal(self.population, self.pixels, 3)
        rows.candidates = torch.cat([places, colors.clamp(0, 1)], 3)
        rows.fitness = torch.full((len(rows), self.population), -torch.inf, dtype=torch.float64, device=rows.eps.device)

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Look at the first population, or at the challengers, and let the fitter ones stay."""
        challengers = torch.where((rows.age == 0).view(-1, 1, 1, 1), rows.candidates, self._mutated(rows))
        size = max(1, _VALUES_AT_ONCE // (self.population * rows.images[0].numel()))
        for places in torch.split(torch.arange(len(rows), device=rows.label.device), size):
            self._compete(rows, challengers[places], model, places)

    def _mutated(self, rows: Rows) -> Tensor:
        """Challengers (N, P, pixels, 5): of each candidate three others, all different, are combined."""
        order = rows.noise.uniform(self.population, self.population - 1).argsort(dim=2, stable=True)[:, :, :3]
        own = torch.arange(self.population, device=order.device)[:, None]
        others = order + (order >= own).long()  # all but the candidate itself
        each = torch.arange(len(rows), device=order.device)[:, None]
        first, second, third = (rows.candidates[each, others[:, :, place]] for place in range(3))
        return (first + self.mutation * (second - third)).clamp(0, 1)

    def _compete(self, rows: Rows, challengers: Tensor, model: Model, places: Tensor) -> None:
        some = rows[places]
        pixels = painted(some.images, challengers)
        logits = model.query(pixels, places)
        each = some[torch.arange(len(some), device=places.device).repeat_interleave(self.population)]
        fitness = wide(each.goal.loss(logits.flatten(0, 1))).view(len(some), self.population)
        stays = fitness > some.fitness
        candidates = torch.where(stays[:, :, None, None], challengers, some.candidates)
        rows.candidates = rows.candidates.index_copy(0, places, candidates)
        best = torch.where(stays, fitness, some.fitness)
        rows.fitness = rows.fitness.index_copy(0, places, best)
        fittest = candidates[torch.arange(len(some), device=places.device), best.argmax(1)]
        rows.adversarial = rows.adversarial.index_copy(0, places, painted(some.images, fittest[:, None])[:, 0])


def painted(images: Tensor, candidates: Tensor) -> Tensor:
    """Change pixels of images (n, 3, H, W) as candidates (n, Q, pixels, 5) say; (n, Q, 3, H, W), eight-bit colors.

    A candidate's row and column are fractions of the height and the width. Of two pixels at one place the last counts.
    """
    count, tried = candidates.shape[:2]
    height, width = images.shape[2:]
    row = (candidates[..., 0] * height).long().clamp(max=height - 1)
    column = (candidates[..., 1] * width).long().clamp(max=width - 1)
    pixels = images[:, None].repeat(1, tried, 1, 1, 1)
    each = torch.arange(count, device=images.device)[:, None]
    one = torch.arange(tried, device=images.device)[None]
    for place in range(candidates.shape[2]):
        color = on_grid(candidates[:, :, place, 2:].to(images.dtype))
        pixels[each, one, :, row[:, :, place], column[:, :, place]] = color
    return pixels
