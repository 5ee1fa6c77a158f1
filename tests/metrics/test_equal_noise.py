"""Noise as large as an attack: the same norms, another place, the same whatever the batch."""

import pytest
import torch

from advcli.core.randomness import RowNoise
from advcli.metrics.equal_noise import equal_noise

DIGESTS = ["a" * 64, "b" * 64, "c" * 64]


def pictures(seed, largest=8):
    levels = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (3, 3, 16, 16), generator=levels)
    change = torch.randint(-largest, largest + 1, images.shape, generator=levels)
    return images / 255, (images + change).clamp(0, 255) / 255


def noisy(images, adversarial, rows=slice(None)):
    return equal_noise(images[rows], adversarial[rows], RowNoise.of(0, DIGESTS[rows], "equal-noise"))


@pytest.mark.parametrize("largest", [1, 8, 120])
def test_every_norm_is_that_of_the_perturbation(largest):
    images, adversarial = pictures(0, largest)
    found = noisy(images, adversarial)
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal((found * 255).round() / 255, found)
    for order in (0, 1, 2, torch.inf):
        sizes = [
            torch.linalg.vector_norm((one - images).double().flatten(1), order, dim=1) for one in (found, adversarial)
        ]
        assert torch.allclose(*sizes, atol=1e-5)


def test_the_places_are_others():
    images, adversarial = pictures(1)
    found = noisy(images, adversarial)
    change, own = (found - images).flatten(), (adversarial - images).flatten()
    assert abs(torch.corrcoef(torch.stack([change, own]))[0, 1]) < 0.1


def test_a_row_does_not_depend_on_its_neighbors():
    images, adversarial = pictures(2)
    assert torch.equal(noisy(images, adversarial)[1:2], noisy(images, adversarial, slice(1, 2)))


def test_no_perturbation_is_no_noise():
    images, _ = pictures(3)
    assert torch.equal(noisy(images, images), images)
