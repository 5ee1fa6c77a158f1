"""Noise that is exactly as large as an attack: the attack's own changes, moved to random places."""

import numpy as np
import torch

from advcli.core.grid import LEVELS
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Pixels


def equal_noise(images: Pixels, adversarial: Pixels, noise: RowNoise) -> Pixels:
    """Give each image noise with the norms of its perturbation: the same values, at random places with random signs.

    So linf, l2, l1 and the number of changed values are those of the perturbation to the digit. A value that would
    leave [0, 1] takes the other sign; only where neither sign fits, which needs changes above half of the range, it
    is cut.

    Args:
        images: (N, 3, H, W) on the grid of eight-bit pictures.
        adversarial: the same images under attack, on that grid.
        noise: the images' own random numbers.

    Returns:
        (N, 3, H, W) float32 on the grid.
    """
    before, after = (
        np.rint(pixels.cpu().numpy() * LEVELS).reshape(len(images), -1) for pixels in (images, adversarial)
    )
    count = before.shape[1]
    places = noise.uniform(count).cpu().numpy().argsort(axis=1, kind="stable")
    signs = noise.sign(count).cpu().numpy()
    change = np.take_along_axis(after - before, places, axis=1) * signs
    moved = before + change
    moved = np.where((moved < 0) | (moved > LEVELS), before - change, moved)
    levels = np.clip(moved, 0, LEVELS).reshape(images.shape).astype(np.float32)
    return torch.from_numpy(levels / np.float32(LEVELS)).to(images.device)
