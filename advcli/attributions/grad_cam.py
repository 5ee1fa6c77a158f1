"""Grad-CAM: the channels of a deep layer, weighted by how much the score depends on each.

Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, section 3.
"""

import torch.nn.functional as F

from advcli.core.precision import wide
from advcli.core.scores import Score, score_cotangent
from advcli.core.shapes import Integers, Maps, Pixels
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer


def grad_cam(
    classifier: Classifier,
    pixels: Pixels,
    target: Integers,
    *,
    layer: Layer,
    score: Score = "logit",
    relu: bool = True,
) -> Maps:
    """Weight a layer's channels by their mean gradient and add them up.

    Args:
        classifier: what to explain.
        pixels: (N, 3, H, W) in [0, 1].
        target: (N,) the class to explain for each image.
        layer: whose channels are weighted; by default the deepest that is still a map.
        score: what is differentiated.
        relu: keep only evidence for the class, as the paper does; otherwise evidence against it is negative.

    Returns:
        (N, H, W), resized to the picture bilinearly (half-pixel centers); all zero where there is no evidence.
    """
    look = classifier.look(pixels, watch=layer.name)
    cotangent = score_cotangent(look.logits, target, score)
    weights = wide(layer.spatial(look.pull_watched(cotangent))).mean((2, 3), keepdim=True)
    maps = (weights * wide(layer.spatial(look.watched))).sum(1, keepdim=True)
    maps = maps.relu() if relu else maps
    return F.interpolate(maps, pixels.shape[2:], mode="bilinear", align_corners=False)[:, 0].to(pixels.dtype)
