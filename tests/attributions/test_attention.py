"""Rollout and gradient times attention, against the matrices of the papers written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer

from advcli.attributions.attention_rollout import attention_rollout
from advcli.attributions.grad_times_attention import grad_times_attention
from advcli.core.scores import Target
from advcli.models.attention import attending, transformer_of
from advcli.models.view import View


def kept(classifier, pixels, target):
    """The attention of every layer, and its gradients, of each head."""
    found = transformer_of(classifier)
    view = View(classifier, pixels, around=attending(found), keeps=found.names)
    cotangent = target.cotangent(view.logits)
    weights = [view.watched(name)[:, 0] for name in found.names]
    return weights, [view.watched_gradient(name, cotangent)[:, 0] for name in found.names]


def shown(places, size=16):
    return F.interpolate(places.view(-1, 1, 4, 4), (size, size), mode="bilinear", align_corners=False)[:, 0]


def test_rollout_is_the_product_of_the_matrices(trained_transformer):
    images, target = trained_transformer.images[:6], Target(trained_transformer.labels[:6])
    weights, _ = kept(trained_transformer.classifier, images, target)
    rollout = torch.eye(17).double()
    for attention in weights:
        rollout = (attention.mean(1) + torch.eye(17)) / 2 @ rollout
    found = attention_rollout(View(trained_transformer.classifier, images), target)
    assert torch.allclose(found, shown(rollout[:, 0, 1:]), rtol=1e-9)


@pytest.mark.parametrize("score", ["logit", "logprob", "loss"])
def test_gradient_times_attention_is_the_product_of_the_matrices(trained_transformer, score):
    images, target = trained_transformer.images[:6], Target(trained_transformer.labels[:6], score)
    weights, gradients = kept(trained_transformer.classifier, images, target)
    relevance = torch.eye(17).double().expand(6, 17, 17)
    for attention, gradient in zip(weights, gradients, strict=True):
        relevance = relevance + (attention * gradient).relu().mean(1) @ relevance
    found = grad_times_attention(View(trained_transformer.classifier, images), target)
    assert torch.allclose(found, shown(relevance[:, 0, 1:]), rtol=1e-9, atol=1e-15)


def test_attention_that_is_uniform_points_nowhere(make_classifier, transformer):
    network = transformer((16, 16))
    for module in network.modules():
        if isinstance(module, nn.MultiheadAttention):
            nn.init.zeros_(module.in_proj_weight[: 2 * module.embed_dim].data)
    classifier = make_classifier(network, (16, 16), classes=5)
    images, target = torch.rand(2, 3, 16, 16), Target(torch.tensor([0, 1]))
    found = attention_rollout(View(classifier, images), target)
    # Of the class token's share after two layers of (I + 1/17) / 2: 1/2 . 1/17 + 1/4 . 1/17 each.
    assert torch.allclose(found, torch.full_like(found, 0.75 / 17), rtol=1e-6)


def test_of_a_swin_transformer_shares_add_up_to_one_and_are_spread_inside_windows(wrap):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], num_classes=3).eval()
    classifier = wrap(network, classes=3, size=32)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    target = Target(torch.tensor([0, 1]))
    found = attention_rollout(View(classifier, images), target)
    low = F.avg_pool2d(found[:, None], 2)[:, 0]  # half-pixel resizing by two is undone by the mean, but for the border
    assert found.shape == (2, 32, 32)
    assert torch.allclose(low.sum((1, 2)), torch.ones(2).double(), rtol=0.02)
    assert grad_times_attention(View(classifier, images), target).amin() >= 0


def test_the_best_patch_is_where_the_object_is(wrap):
    """One bright patch decides, and the class token attends to bright patches: both methods find it."""

    class Bright(nn.Module):
        def forward(self, pixels):
            light = F.avg_pool2d(pixels.mean(1, keepdim=True), 4).flatten(1)  # (N, 16)
            light = torch.cat([light.mean(1, keepdim=True) * 0, light], 1)
            products = (torch.ones_like(light)[:, :, None] * light[:, None] * 6)[:, None]  # (N, 1, 17, 17)
            mixed = (products.softmax(-1) @ light[:, None, :, None])[:, 0, 0]  # (N, 1)
            return torch.cat([mixed, -mixed], 1)

    classifier = wrap(Bright(), size=16)
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[:, :, 4:8, 8:12] = 1
    target = Target(torch.tensor([0]))
    for method in (attention_rollout, grad_times_attention):
        found = method(View(classifier, pixels), target)[0]
        assert found.argmax() in [row * 16 + column for row in range(4, 8) for column in range(8, 12)]
