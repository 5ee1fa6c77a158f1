"""Gradient times attention: rollout of the attention that raises the score.

Source: Chefer et al. 2021, https://arxiv.org/abs/2103.15679, section 3.1, equations 5 and 6.
"""

from torch import Tensor

from advcli.attributions._attention import attention_view, followed_back, over_heads
from advcli.core.attribution import Traits
from advcli.core.scores import Target
from advcli.core.shapes import Maps
from advcli.models.attention import Attention, no_attention, transformer_of
from advcli.models.view import View

TRAITS = Traits(watches="attention")

refusal = no_attention


def grad_times_attention(view: View, target: Target) -> Maps:
    """Weight attention by the positive part of its gradient, average over heads, and follow it through all layers.

    A token's relevance stays with it, and goes besides to the tokens that it attends to, as much as that attention
    raises the score. It begins at what the head reads, as in attention-rollout; what merely stayed there, the same for
    all places, is taken away at the end.

    Args:
        view: of the images; they are looked at again, for fast attention does not show its weights.
        target: class and score to explain for each image.

    Returns:
        (N, H, W), at least 0, resized to the picture bilinearly.
    """
    transformer = transformer_of(view.classifier)
    own = attention_view(view, transformer, graph=True)
    cotangent = target.cotangent(own.logits)
    attention = {
        name: over_heads((own.watched_gradient(name, cotangent) * own.watched(name)).relu())
        for name in transformer.names
    }
    own.close()
    stayed = followed_back(view, transformer, attention, lambda _layer, relevance, _attention: relevance)
    return followed_back(view, transformer, attention, _step) - stayed


def _step(layer: Attention, relevance: Tensor, attention: Tensor) -> Tensor:
    return relevance + layer.back(relevance, attention)
