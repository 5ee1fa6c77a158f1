"""The one-pixel attack: the pixels that it says it changes, its evolution, and the one pixel that decides."""

import pytest
import torch
from torch import nn

from advcli.attacks.one_pixel import OnePixel, painted


def test_candidates_say_which_pixels_change():
    images = torch.zeros(1, 3, 4, 6)
    candidate = torch.tensor([[0.5, 0.99, 1.0, 0.5, 0.25], [1.0, 0.0, 0.0, 0.0, 1.0]])
    (pixels,) = painted(images, candidate[None, None])[0]
    assert torch.allclose(pixels[:, 2, 5] * 255, torch.tensor([255.0, 128.0, 64.0]))
    assert torch.allclose(pixels[:, 3, 0] * 255, torch.tensor([0.0, 0.0, 255.0]))
    assert int((pixels > 0).any(0).sum()) == 2


@pytest.mark.parametrize("pixels", [1, 3])
def test_no_more_pixels_change_than_it_says(half_space, run_attack, pixels):
    problem = half_space(4, 3)
    attack = OnePixel(pixels=pixels, population=16, steps=4)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, None, 0.0)
    changed = (found.pixels != problem.images).any(1).flatten(1).sum(1)
    assert (changed <= pixels).all()
    assert torch.equal(found.pixels, found.saved)
    assert (found.forward_passes <= 1 + 4 * 17).all()


class OneValue(nn.Module):
    """Class 1 where the first color of one pixel is white enough."""

    def forward(self, pixels):
        value = pixels[:, 0, 2, 1]
        return torch.stack([torch.full_like(value, 0.9), value + 0.1 * pixels[:, 0, 2].amax(1)], 1)


def test_the_evolution_finds_the_pixel_that_decides(run_attack, wrap):
    images = torch.full((3, 3, 4, 4), 51 / 255)
    label = torch.zeros(3, dtype=torch.int64)
    attack = OnePixel(population=60, steps=30)
    found = run_attack(attack, wrap(OneValue(), size=4), images, label, 1 - label, 0.0)
    assert (found.rank == 2).all()
    assert (found.pixels != images).any(1)[:, 2, 1].all()
