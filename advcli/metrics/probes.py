"""Probes: small changes that clean pictures survive, and that what an attack wrote into a picture may not."""

import io

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from advcli.core.choices import Probe
from advcli.core.grid import LEVELS
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Pixels

BLUR = 0.8  # standard deviation in pixels
QUALITY = 75  # of the JPEG
BITS = 4
NOISE = 4 / 255  # standard deviation, in pixel units


def probed(pixels: Pixels, probe: Probe, noise: RowNoise) -> Pixels:
    """Change each picture slightly, on the CPU, the same in every batch.

    Args:
        pixels: (N, 3, H, W) in [0, 1].
        probe: ``blur``, a Gaussian of 0.8 pixels; ``jpeg`` of quality 75; ``bit-depth``, 16 levels for each channel;
            ``noise``, Gaussian of 4/255.
        noise: the pictures' own random numbers.

    Returns:
        (N, 3, H, W) float32 in [0, 1] on the same device.

    Source: Xu et al. 2018, "Feature squeezing", https://arxiv.org/abs/1704.01155, section III.
    """
    exact = pixels.detach().cpu().double().numpy()
    if probe == "blur":
        found = _blurred(exact)
    elif probe == "jpeg":
        found = np.stack([_compressed(one) for one in exact])
    elif probe == "bit-depth":
        found = np.rint(exact * (2**BITS - 1)) / (2**BITS - 1)
    else:
        found = exact + NOISE * noise.normal(*pixels.shape[1:]).cpu().double().numpy()
    return torch.from_numpy(found).float().clamp(0, 1).to(pixels.device)


def through_probe(gradient: Pixels, probe: Probe) -> Pixels:
    """Carry a gradient in probed pixels back to the pixels, as if nothing had been clamped.

    A blur is symmetric, also where it mirrors the border, so that its transpose is itself. Noise passes a gradient on;
    what rounds has no derivative, and is taken to pass it on too.

    Args:
        gradient: (N, 3, H, W) in the probed pixels.
        probe: see ``probed``.

    Returns:
        (N, 3, H, W) on the same device.

    Source: Athalye et al. 2018, https://arxiv.org/abs/1802.00420, section 4.1.1 (backward pass differentiable
    approximation).
    """
    if probe != "blur":
        return gradient
    found = _blurred(gradient.detach().cpu().double().numpy())
    return torch.from_numpy(found).to(gradient)


def _blurred(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = gaussian_filter(values, (0, 0, BLUR, BLUR), mode="reflect")
    return found


def _compressed(picture: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    levels = np.rint(picture.transpose(1, 2, 0) * LEVELS).astype(np.uint8)
    Image.fromarray(levels).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"), np.float64).transpose(2, 0, 1) / LEVELS
