"""Score-CAM: the channels of a deep layer, weighted by the score of the picture seen through each.

Source: Wang et al. 2020, https://arxiv.org/abs/1910.01279, section 3.
"""

import torch
from torch import Tensor

from advcli.attributions._cam import resized
from advcli.core.attribution import Traits
from advcli.core.precision import by_row, wide
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.layers import Layer, no_layer
from advcli.models.view import View

TRAITS = Traits(watches="layer")

refusal = no_layer


def score_cam(view: View, target: Target, *, layer: Layer) -> Maps:
    """Darken the picture where a channel is low, look again, and weight the channel by what is left of the score.

    It takes no gradient, and one forward pass for each channel. The weights are the softmax of the channels' scores,
    as in the paper; a channel that is the same everywhere shows nothing and gets none.

    Args:
        view: of the images, which watches the layer.
        target: class and score to explain for each image.
        layer: whose channels are masks; by default the deepest that is still a map.

    Returns:
        (N, H, W), at least 0, resized to the picture bilinearly (half-pixel centers).
    """
    activation = layer.spatial(view.watched(layer.name))  # (N, C, h, w)
    low, high = activation.amin((2, 3)), activation.amax((2, 3))
    shows = high > low
    scores = wide(view.pixels).new_zeros(activation.shape[:2])

    def darkened(rows: Tensor, channels: Tensor) -> Tensor:
        masks = by_row(lambda one: resized(one, view), activation[rows, channels])
        least, most = low[rows, channels].view(-1, 1, 1), high[rows, channels].view(-1, 1, 1)
        masks = torch.where(most > least, (masks - least) / (most - least), 0.0)
        return (wide(view.pixels)[rows] * masks.clamp(0, 1)[:, None]).to(view.pixels.dtype)

    for part in view.classifier.sweep(view.pixels, activation.shape[1], darkened, graph=False):
        scores[part.rows, part.indices] = target[part.rows].value(part.logits)

    def one(activation: Tensor, scores: Tensor, shows: Tensor) -> Tensor:
        weights = scores.masked_fill(~shows, -torch.inf).softmax(1).nan_to_num()
        return resized((weights[:, :, None, None] * activation).sum(1).relu(), view)

    return by_row(one, activation, scores, shows)
