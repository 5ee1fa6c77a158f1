"""Attention rollout: where the tokens that the head reads have their content from, over all layers.

Source: Abnar and Zuidema 2020, https://arxiv.org/abs/2005.00928, section 3.
"""

from torch import Tensor

from advcli.attributions._attention import attention_view, followed_back, over_heads
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.attention import Attention, no_attention, transformer_of
from advcli.models.view import View

TRAITS = Traits(watches="attention", class_free=True)

refusal = no_attention


def attention_rollout(view: View, target: Target) -> Maps:
    """Multiply the layers' attention matrices, each averaged over heads and mixed half and half with staying in place.

    It begins at what the head reads: the class token, or the mean of all places. In a Swin transformer attention stays
    inside its (shifted) windows, and a place made of four shares its part among them.

    Args:
        view: of the images; they are looked at again, for fast attention does not show its weights.
        target: not used; the map is the same for every class and score.

    Returns:
        (N, H, W): the share of each place in what the head reads, resized to the picture bilinearly.
    """
    del target
    transformer = transformer_of(view.classifier)
    own = attention_view(view, transformer, graph=False)
    attention = {name: over_heads(own.watched(name)) for name in transformer.names}
    own.close()
    return followed_back(view, transformer, attention, _step)


def _step(layer: Attention, relevance: Tensor, attention: Tensor) -> Tensor:
    return (relevance + layer.back(relevance, attention)) / 2
