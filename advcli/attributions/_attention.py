"""What the methods share that follow attention: relevance taken back from what the head reads to the picture."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from advcli.attributions._cam import resized
from advcli.core.precision import by_row, wide
from advcli.models.attention import Attention, Transformer, attending
from advcli.models.view import View


def attention_view(view: View, transformer: Transformer, *, graph: bool) -> View:
    """Look at the images of a view again, keeping the attention; with ``graph``, its gradients can be read too."""
    return View(view.classifier, view.pixels, graph=graph, around=attending(transformer), keeps=transformer.names)


def over_heads(attention: Tensor) -> Tensor:
    """Average attention (N, windows, heads, L, L) over its heads, picture by picture."""
    return by_row(lambda row: row.mean(2), attention)


def followed_back(
    view: View,
    transformer: Transformer,
    attention: Mapping[str, Tensor],
    step: Callable[[Attention, Tensor, Tensor], Tensor],
) -> Tensor:
    """Follow relevance back through all layers, picture by picture.

    Args:
        view: of the images.
        transformer: their network's layers.
        attention: what each layer's attention comes to, (N, windows, L, L), by its name.
        step: takes a layer, the relevance of the tokens behind it (1, tokens) and its attention (1, windows, L, L) to
            the relevance of the tokens before it.

    Returns:
        (N, H, W): the relevance of the first layer's places, resized to the pictures.
    """

    def one(*attention: Tensor) -> Tensor:
        relevance = wide(transformer.start.to(attention[0].device))
        after = transformer.layers[-1]
        for layer, weights in zip(reversed(transformer.layers), reversed(attention), strict=True):
            relevance = _unmerged(relevance, layer, after)
            relevance, after = step(layer, relevance, weights), layer
        places = relevance[:, after.prefix :].view(1, after.height, after.width)
        return resized(places, view)

    return by_row(one, *(attention[name] for name in transformer.names))


def _unmerged(relevance: Tensor, layer: Attention, after: Attention) -> Tensor:
    """Share the relevance of each place among the four that were merged into it, where a map was halved."""
    if (layer.height, layer.width) == (after.height, after.width):
        return relevance
    places = relevance.view(1, after.height, after.width) / 4
    places = places.repeat_interleave(2, 1).repeat_interleave(2, 2)
    return torch.flatten(places[:, : layer.height, : layer.width], 1)
