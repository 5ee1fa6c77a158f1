"""Random maps: a control that knows neither the network nor the picture.

Source: the random baseline of Hooker et al. 2019, https://arxiv.org/abs/1806.10758, section 4.
"""

import torch

from advcli.attributions._noise import SampleNoise
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.view import View

TRAITS = Traits(class_free=True)


def random(view: View, target: Target, *, noise: SampleNoise) -> Maps:
    """Draw every value of the map from the standard normal distribution.

    Args:
        view: of the images; only their number and size are read.
        target: not used; the map is the same for every class and score.
        noise: random numbers of each image.

    Returns:
        (N, H, W).
    """
    del target
    rows = torch.arange(len(view.pixels), device=view.pixels.device)
    return noise.normal(rows, torch.zeros_like(rows), *view.pixels.shape[2:])
