"""Attention as it is found, kept and followed: every way to compute it, windows, and what cannot be followed."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.maxvit import MaxVit
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2, SwinTransformer, SwinTransformerBlockV2
from torchvision.models.vision_transformer import VisionTransformer

from advcli.errors import UsageError
from advcli.models.attention import Attention, attending, no_attention, transformer_of
from advcli.models.classifier import Classifier
from advcli.models.view import View


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make().eval()
        for module in network.modules():
            if isinstance(module, nn.Linear) and not module.weight.any():
                nn.init.normal_(module.weight)
        return network


def vision_transformer():
    return VisionTransformer(16, 4, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3)


def swin(**options):
    return SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], num_classes=3, **options)


def test_torchvisions_vit_is_found(wrap):
    found = transformer_of(wrap(seeded(vision_transformer), classes=3, size=16))
    assert found.layers == tuple(Attention(f"attention {place}", 2, 17, 4, 4, prefix=1) for place in range(3))
    assert found.start.tolist() == [[1.0] + [0.0] * 16]  # the head reads the class token alone


def test_torchvisions_swin_is_found(wrap):
    found = transformer_of(wrap(seeded(swin), classes=3, size=24))
    first = [Attention(f"attention {i}", 2, 16, 12, 12, 0, (4, 4), (2 * i, 2 * i)) for i in range(2)]
    second = [Attention(f"attention {i}", 2, 16, 6, 6, 0, (4, 4), (2 * (i - 2), 2 * (i - 2))) for i in (2, 3)]
    assert found.layers == (*first, *second)
    assert torch.allclose(found.start, torch.full((1, 36), 1 / 36).double())  # the head reads the mean of all places


def test_the_second_swin_is_found_and_windows_larger_than_the_map_are_not_shifted(wrap):
    network = seeded(lambda: swin(block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2))
    found = transformer_of(wrap(network, classes=3, size=16))
    assert [layer.shift for layer in found.layers] == [(0, 0), (2, 2), (0, 0), (0, 0)]
    assert [layer.windows for layer in found.layers] == [4, 4, 1, 1]


class Fused(nn.Module):
    """One layer of attention by a call that does not show its weights, or by a softmax of its own."""

    def __init__(self, how, registers=0):
        super().__init__()
        self.cut, self.qkv, self.head = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 24), nn.Linear(8, 3)
        self.registers = nn.Parameter(torch.randn(1, registers, 8))
        self.how = how

    def forward(self, pixels):
        tokens = self.cut(pixels).flatten(2).movedim(2, 1)
        tokens = torch.cat([self.registers.expand(len(tokens), -1, -1), tokens], 1)
        q, k, v = self.qkv(tokens).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = self.how(q, k, v).transpose(1, 2).flatten(2)
        return self.head((tokens + mixed)[:, self.registers.shape[1] :].mean(1))


HOW = {
    "fused": F.scaled_dot_product_attention,
    "fused, scaled and masked": lambda q, k, v: F.scaled_dot_product_attention(
        q, k, v, attn_mask=torch.ones(q.shape[2], q.shape[2]).bool(), scale=0.5
    ),
    "method": lambda q, k, v: (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v,
    "function": lambda q, k, v: F.softmax(q @ k.transpose(-2, -1) / 2, dim=-1) @ v,
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("registers", [0, 4])
def test_attention_is_kept_however_it_is_computed(wrap, how, registers):
    network = seeded(lambda: Fused(HOW[how], registers))
    classifier, pixels = wrap(network, classes=3, size=16), torch.rand(2, 3, 16, 16)
    found = transformer_of(classifier)
    assert found.layers == (Attention("attention 0", 2, 16 + registers, 4, 4, prefix=registers),)
    assert torch.equal(found.start > 0, torch.arange(16 + registers)[None] >= registers)
    view = View(classifier, pixels, around=attending(found), keeps=found.names)
    kept = view.watched("attention 0")
    assert kept.shape == (2, 1, 2, 16 + registers, 16 + registers)
    assert torch.allclose(kept.sum(-1), torch.ones(()).double(), atol=1e-6)
    assert torch.allclose(view.logits, classifier.logits(pixels), atol=1e-6)


@pytest.mark.parametrize(("make", "size"), [(vision_transformer, 16), (swin, 24)])
def test_logits_and_gradients_with_kept_attention_are_those_without(wrap, make, size):
    classifier = wrap(seeded(make), classes=3, size=size)
    pixels = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    found, cotangent = transformer_of(classifier), torch.eye(3).double()
    plain = View(classifier, pixels, gradient=True)
    kept = View(classifier, pixels, gradient=True, around=attending(found), keeps=found.names)
    assert torch.allclose(kept.logits, plain.logits, atol=1e-6)
    assert torch.allclose(kept.gradient(cotangent), plain.gradient(cotangent), rtol=1e-4, atol=1e-6)
    for name in found.names:
        assert torch.allclose(kept.watched(name).sum(-1), torch.ones(()).double(), atol=1e-6)
    last = kept.watched_gradient(found.names[-1], cotangent)
    assert last.any()
    without = View(classifier, pixels, graph=False, around=attending(found), keeps=found.names)
    assert torch.allclose(without.watched(found.names[0]), kept.watched(found.names[0]), atol=1e-6)


def test_gradients_of_attention_are_those_of_finite_differences(wrap):
    class Mixed(nn.Module):
        def forward(self, pixels):
            tokens = pixels.flatten(2).movedim(2, 1).double()
            weights = (tokens @ tokens.transpose(1, 2)).softmax(-1)
            return (weights @ tokens).mean(1)[:, :2].float()

    pixels = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    # A softmax without heads: (N, L, L) is no attention of a kind that is known.
    assert "is not among all places" in no_attention(wrap(Mixed(), size=2))

    class Heads(Mixed):
        def forward(self, pixels):
            tokens = pixels.flatten(2).movedim(2, 1).double()[:, None]
            weights = (tokens @ tokens.transpose(2, 3)).softmax(-1)
            return (weights @ tokens).mean((1, 2))[:, :2].float()

    classifier = wrap(Heads(), size=2)
    found = transformer_of(classifier)
    view = View(classifier, pixels, around=attending(found), keeps=found.names)
    gradient = view.watched_gradient("attention 0", torch.tensor([[1.0, 0.0]]).double())[0, 0, 0]
    # The first logit is the mean over rows of weights times the first channel.
    expected = pixels[0, 0].flatten().double().expand(4, 4) / 4
    assert torch.allclose(gradient, expected, rtol=1e-6)


def window_matrix(layer, weights):
    """The same layer as one big matrix (h w, h w), built place by place."""
    (high, wide), (up, left) = layer.window, layer.shift
    rows, columns = -(-layer.height // high) * high, -(-layer.width // wide) * wide
    matrix = torch.zeros(layer.height * layer.width, layer.height * layer.width).double()
    where = {}
    for y in range(rows):
        for x in range(columns):
            shifted_y, shifted_x = (y - up) % rows, (x - left) % columns
            window = (shifted_y // high) * (columns // wide) + shifted_x // wide
            where[y, x] = window, (shifted_y % high) * wide + shifted_x % wide
    for y in range(layer.height):
        for x in range(layer.width):
            for other_y in range(layer.height):
                for other_x in range(layer.width):
                    (window, place), (other, other_place) = where[y, x], where[other_y, other_x]
                    if window == other:
                        value = weights[window, place, other_place]
                        matrix[y * layer.width + x, other_y * layer.width + other_x] = value
    return matrix


@pytest.mark.parametrize("shift", [(0, 0), (2, 2), (1, 0)])
@pytest.mark.parametrize("size", [(8, 8), (6, 5), (4, 12)])
def test_windows_are_a_matrix_among_all_places(shift, size):
    generator = torch.Generator().manual_seed(0)
    layer = Attention("a", 1, 16, *size, 0, (4, 4), shift)
    weights = torch.rand(layer.windows, 16, 16, generator=generator).double()
    relevance = torch.rand(1, math.prod(size), generator=generator).double()
    assert torch.equal(layer.joined(layer.cut(relevance)), relevance)
    expected = relevance @ window_matrix(layer, weights)
    assert torch.allclose(layer.back(relevance, weights[None]), expected)


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_lie_where_torchvision_puts_them(wrap, shift):
    """Mixing values by the kept weights, window by window, is what torchvision's own layer does."""
    from torchvision.models.swin_transformer import ShiftedWindowAttention

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = ShiftedWindowAttention(3, [4, 4], [shift, shift], 1)
            for part in (self.attention.qkv, self.attention.proj):
                nn.init.zeros_(part.bias)
            self.attention.qkv.weight.data[6:] = torch.eye(3)
            self.attention.proj.weight.data = torch.eye(3)

        def forward(self, pixels):
            self.mixed = self.attention(pixels.movedim(1, 3))
            return self.mixed.flatten(1)[:, :2] + self.mixed.mean((1, 2))[:, :2]

    classifier = wrap(seeded(Alone), size=10)
    found = transformer_of(classifier)
    (layer,) = found.layers
    pixels = torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        view = View(classifier, pixels, around=attending(found), keeps=found.names)
    weights = view.watched("attention 0")[0, :, 0]
    matrix = window_matrix(layer, weights)
    expected = classifier.network.mixed[0].detach().double().flatten(0, 1)  # (h w, 3)
    assert torch.allclose(matrix @ pixels[0].double().flatten(1).T, expected, atol=1e-5)


def test_what_cannot_be_followed_is_refused(wrap, trained, half_space, transformer):
    for classifier in (trained.classifier, half_space(1).classifier):
        assert "has no attention that can be read" in no_attention(classifier)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        maxvit = MaxVit((64, 64), 8, 4, [8], [1], 4, 0.0, num_classes=2)
    assert "is not among all places of the picture" in no_attention(wrap(maxvit.eval(), size=64))
    network = seeded(lambda: Fused(lambda q, k, v: F.scaled_dot_product_attention(q[:, :, :1], k, v)))
    assert "is of a kind that cannot be followed" in no_attention(wrap(network, classes=3, size=16))
    untrained = wrap(VisionTransformer(16, 4, 1, 2, 8, 16, num_classes=3), classes=3, size=16)
    refused = no_attention(untrained)
    assert "because the weights of its head heads.head (Linear) are all zero" in refused
    assert "use a method that needs none, such as gradient" in refused
    with pytest.raises(UsageError):
        transformer_of(untrained)


def test_a_probed_network_is_left_as_it_was(wrap):
    network = seeded(swin)
    classifier = Classifier(network, wrap(seeded(swin), classes=3, size=24).card)
    transformer_of(classifier)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in classifier.network.modules())
    assert isinstance(next(one for one in network.modules() if isinstance(one, PatchMerging)), PatchMerging)
