"""Layers with a map in them, found by probing: which are listed, how they are read, which is chosen."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from advcli.attributions.grad_cam import grad_cam
from advcli.core.scores import Target
from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.layers import Layer, no_layer, pick_layer, pick_layers, spatial_layers, zero_head
from advcli.models.view import View


def names(classifier):
    return [layer.name for layer in spatial_layers(classifier)]


def test_layers_are_listed_in_order_with_their_shapes(trained):
    shapes = [(layer.name, layer.kind, layer.channels, layer.height) for layer in spatial_layers(trained.classifier)]
    # 0 and 1 hold the tensor that the ReLU in place, 2, passes on; 3 and 6 are folded with the norms behind them.
    assert shapes == [("2", "ReLU", 16, 16), ("4", "Folded", 24, 8), ("5", "ReLU", 24, 8), ("7", "Folded", 32, 4),
                      ("8", "ReLU", 32, 4)]  # fmt: skip
    assert pick_layer(trained.classifier, None).name == "8"


def test_a_layer_with_a_norm_folded_into_it_is_refused(trained):
    with pytest.raises(UsageError, match="'3' of test has no map in its output, or a batch norm was folded into it"):
        pick_layer(trained.classifier, "3")
    assert pick_layer(trained.classifier, "4").channels == 24


def test_layers_that_do_not_exist_or_have_no_map_are_refused(trained):
    with pytest.raises(UsageError, match="has no layer 'layer9'") as caught:
        pick_layer(trained.classifier, "layer9")
    assert caught.value.hint == "see: advcli model layers test"
    for name in ("9", "11"):  # 1 x 1 after pooling; logits
        with pytest.raises(UsageError, match=f"layer '{name}' of test has no map"):
            pick_layer(trained.classifier, name)


def test_a_network_without_maps_is_refused(half_space):
    with pytest.raises(UsageError, match="has no layer with a map in it"):
        pick_layer(half_space(1).classifier, None)


class Net(nn.Module):
    """Parts by name, and how they are put together."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.wire = forward

    def forward(self, x):
        return self.wire(self, x)


def test_of_modules_that_pass_on_one_tensor_the_outermost_is_listed_and_all_can_be_named(wrap):
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    stage = nn.Sequential(block)
    classifier = wrap(Net(lambda m, x: m.head(m.stage(x).mean((2, 3))), stage=stage, head=nn.Linear(4, 2)))
    assert names(classifier) == ["stage.0.0", "stage"]
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for name in ("stage", "stage.0", "stage.0.1"):
        layer = pick_layer(classifier, name)
        assert layer.name == name
        outputs.append(View(classifier, pixels, watch=[name]).watched(name))
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_a_module_that_is_used_twice_is_what_its_last_use_is(wrap):
    reused = Net(
        lambda m, x: m.head(m.relu(m.second(m.relu(m.first(x)))).mean((2, 3))),
        first=nn.Conv2d(3, 4, 3), second=nn.Conv2d(4, 6, 3, stride=2), relu=nn.ReLU(), head=nn.Linear(6, 2),
    )  # fmt: skip
    classifier = wrap(reused)
    assert names(classifier) == ["first", "second", "relu"]
    layer = pick_layer(classifier, "relu")
    assert (layer.channels, layer.height) == (6, 2)
    for name in names(classifier):
        layer = pick_layer(classifier, name)
        output = View(classifier, torch.rand(1, 3, 8, 8), watch=[name]).watched(name)
        assert layer.spatial(output).shape == (1, layer.channels, layer.height, layer.width)


def test_a_module_whose_last_use_is_no_map_is_not_chosen(wrap):
    shared = Net(
        lambda m, x: m.head(m.relu(m.hidden(m.relu(m.conv(x)).flatten(1)))),
        conv=nn.Conv2d(3, 4, 3, padding=1), hidden=nn.Linear(4 * 64, 6), relu=nn.ReLU(), head=nn.Linear(6, 2),
    )  # fmt: skip
    classifier = wrap(shared)
    assert names(classifier) == ["conv"]
    with pytest.raises(UsageError, match="'relu' of test has no map"):
        pick_layer(classifier, "relu")


class Emits(nn.Module):
    """An output of a given shape, of which every value depends on the picture."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.mean((1, 2, 3), keepdim=True).flatten(1).view(-1, *[1] * len(self.shape)).expand(-1, *self.shape) * 1.0


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((96, 7, 7), ("channels-first", 96, 7, 7, 0)),
        ((7, 7, 96), ("channels-last", 96, 7, 7, 0)),
        ((64, 64, 96), ("channels-last", 96, 64, 64, 0)),  # the first stage of swin_v2_t
        ((96, 64, 64), ("channels-first", 96, 64, 64, 0)),
        ((49, 12), ("tokens", 12, 7, 7, 0)),
        ((50, 12), ("tokens", 12, 7, 7, 1)),
        ((53, 12), ("tokens", 12, 7, 7, 4)),
    ],
)
def test_maps_are_found_however_they_are_laid_out(wrap, shape, found):
    net = Net(lambda m, x: m.out(x).flatten(1)[:, :2] + m.head(x.flatten(1)), out=Emits(*shape), head=nn.Linear(192, 2))
    layers = {layer.name: layer for layer in spatial_layers(wrap(net))}
    layer = layers["out"]
    assert (layer.layout, layer.channels, layer.height, layer.width, layer.prefix) == found


@pytest.mark.parametrize("shape", [(96, 1, 1), (96,), (2, 30), (1, 12), (96, 3, 20)])
def test_what_is_no_map_is_not_listed(wrap, shape):
    net = Net(lambda m, x: m.out(x).flatten(1)[:, :2] + m.head(x.flatten(1)), out=Emits(*shape), head=nn.Linear(192, 2))
    assert names(wrap(net)) == []


def test_a_picture_that_is_not_square_has_maps_that_are_not(make_card):
    net = Net(
        lambda m, x: m.head(m.last(m.first(x)).mean((2, 3))),
        first=nn.Conv2d(3, 4, 3, stride=2, padding=1), last=nn.Conv2d(4, 6, 3, stride=2, padding=1),
        head=nn.Linear(6, 2),
    )  # fmt: skip
    card = make_card(2, 16)
    card = replace(card, preprocessing=replace(card.preprocessing, size=(16, 28)))
    classifier = Classifier(net, card)
    assert [(layer.height, layer.width) for layer in spatial_layers(classifier)] == [(8, 14), (4, 7)]
    view = View(classifier, torch.rand(2, 3, 16, 28), watch=["last"])
    assert grad_cam(view, Target(torch.tensor([0, 1])), layer=pick_layer(classifier, None)).shape == (2, 16, 28)


def test_tokens_of_a_picture_that_is_not_square_lie_in_its_proportions(make_card):
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.tokens, self.head = nn.Conv2d(3, 4, 4, stride=4), nn.Identity(), nn.Linear(4, 2)

        def forward(self, pixels):
            patches = self.cut(pixels).flatten(2).movedim(2, 1)
            return self.head(self.tokens(torch.cat([patches[:, :1] * 0, patches], 1)).mean(1))

    card = make_card(2, 16)
    classifier = Classifier(Patches(), replace(card, preprocessing=replace(card.preprocessing, size=(16, 28))))
    assert pick_layer(classifier, "tokens") == Layer("tokens", "Identity", 4, 4, 7, "tokens", prefix=1)


def test_outputs_are_read_by_their_places():
    values = torch.arange(2 * 6 * 3 * 3).view(2, 6, 3, 3)
    first = Layer("x", "X", 6, 3, 3, "channels-first")
    last = Layer("x", "X", 6, 3, 3, "channels-last")
    tokens = Layer("x", "X", 6, 3, 3, "tokens", prefix=2)
    assert torch.equal(first.spatial(values), values)
    assert torch.equal(last.spatial(values.movedim(1, 3)), values)
    flat = torch.cat([torch.zeros(2, 2, 6), values.flatten(2).movedim(2, 1)], 1)
    assert torch.equal(tokens.spatial(flat), values.float())


def test_probing_leaves_the_network_as_it_was(trained):
    network = trained.classifier.network
    state, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    first = spatial_layers(trained.classifier)
    assert spatial_layers(trained.classifier) == first
    assert not any(module._forward_hooks or module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.fixture(scope="module")
def torchvision_network(make_card):
    """A torchvision network with random weights, also where torchvision would begin with none."""
    from torchvision import models

    def make(name, size=224):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = models.get_model(name, weights=None)
            for module in network.modules():
                if isinstance(module, nn.Linear) and not module.weight.any():  # a ViT's head
                    nn.init.normal_(module.weight)
        return Classifier(network, make_card(1000, size), block=1)

    return make


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", Layer("layer4", "Sequential", 512, 7, 7, "channels-first")),
        ("mobilenet_v2", Layer("features", "Sequential", 1280, 7, 7, "channels-first")),
        ("alexnet", Layer("features.11", "ReLU", 256, 13, 13, "channels-first")),
        ("squeezenet1_1", Layer("features", "Sequential", 512, 13, 13, "channels-first")),
        ("convnext_tiny", Layer("features", "Sequential", 768, 7, 7, "channels-first")),
        ("swin_t", Layer("permute", "Permute", 768, 7, 7, "channels-first")),
    ],
)
def test_the_deepest_map_is_chosen(torchvision_network, name, layer):
    assert pick_layer(torchvision_network(name), None) == layer


@pytest.mark.slow
def test_maxvit_and_vgg_are_read_at_their_last_convolutions(torchvision_network):
    assert pick_layer(torchvision_network("vgg11"), None) == Layer("features.19", "ReLU", 512, 14, 14, "channels-first")
    layer = pick_layer(torchvision_network("maxvit_t"), None)
    assert (layer.channels, layer.height, layer.width) == (512, 7, 7)
    assert layer.name.startswith("blocks.3")


@pytest.mark.slow
def test_timm_is_read_too(make_card):
    timm = pytest.importorskip("timm")
    for name, layer in [
        ("vit_tiny_patch16_224", "blocks.11.norm1"),
        ("swin_tiny_patch4_window7_224", "norm"),
        ("resnet18", "layer4"),
        ("mobilenetv3_small_100", "blocks"),
    ]:
        network = timm.create_model(name, pretrained=False)
        assert pick_layer(Classifier(network, make_card(1000, 224), block=1), None).name == layer


def test_a_pattern_stands_for_what_it_matches_between_two_dots(trained):
    chosen = [layer.name for layer in pick_layers(trained.classifier, "[2-5]")]
    assert chosen == ["2", "4", "5"]
    assert [layer.name for layer in pick_layers(trained.classifier, "8, 5,[58]")] == ["8", "5"]
    assert pick_layers(trained.classifier, None) == (pick_layer(trained.classifier, None),)
    for pattern in ("layer*", "*.*", "1?"):
        with pytest.raises(UsageError, match="has no layer with a map that matches"):
            pick_layers(trained.classifier, pattern)


def test_a_pattern_leaves_out_what_is_inside_and_what_passes_on_the_same_tensor(wrap):
    def stage():
        return nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()), nn.Dropout(0.5))

    parts = {"stem": nn.Conv2d(3, 4, 3), "stage1": stage(), "stage2": stage(), "head": nn.Linear(4, 2)}
    classifier = wrap(Net(lambda m, x: m.head(m.stage2(m.stage1(m.stem(x))).mean((2, 3))), **parts))
    assert [layer.name for layer in pick_layers(classifier, "stage*")] == ["stage1", "stage2"]
    assert [layer.name for layer in pick_layers(classifier, "stage*.*")] == ["stage1.0", "stage2.0"]


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3)])
def test_what_only_pools_is_passed_over(wrap, pool):
    parts = {"conv": nn.Conv2d(3, 4, 3, padding=1), "act": nn.ReLU(), "pool": pool, "head": nn.LazyLinear(2)}
    net = Net(lambda m, x: m.head(m.pool(m.act(m.conv(x))).flatten(1)), **parts)
    net(torch.zeros(1, 3, 8, 8))
    assert pick_layer(wrap(net), None).name == "act"
    assert names(wrap(net)) == ["conv", "act", "pool"]  # and can be named


def test_the_parts_of_attention_are_passed_over(wrap):
    class SelfAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.values = nn.Linear(4, 4)

        def forward(self, tokens):
            return self.values(tokens).mean(1)

    net = Net(
        lambda m, x: m.head(m.attention(m.norm(m.cut(x).flatten(2).movedim(2, 1)))),
        cut=nn.Conv2d(3, 4, 2, stride=2), norm=nn.LayerNorm(4), attention=SelfAttention(), head=nn.Linear(4, 2),
    )  # fmt: skip
    assert names(wrap(net)) == ["cut", "norm", "attention.values"]
    assert pick_layer(wrap(net), None).name == "norm"


def test_the_maps_of_the_classes_themselves_are_passed_over(wrap):
    net = Net(
        lambda m, x: m.act(m.classes(m.drop(m.conv(x)))).mean((2, 3)),
        conv=nn.Conv2d(3, 4, 3), drop=nn.Dropout(), classes=nn.Conv2d(4, 2, 1), act=nn.ReLU(),
    )  # fmt: skip
    assert pick_layer(wrap(net), None).name == "conv"
    alone = Net(lambda m, x: m.classes(x).mean((2, 3)), classes=nn.Conv2d(3, 2, 1))
    assert pick_layer(wrap(alone), None).name == "classes"


def test_a_network_with_a_zero_head_is_refused_by_the_name_of_the_head(wrap):
    head = nn.Linear(4, 2)
    nn.init.zeros_(head.weight)
    net = Net(lambda m, x: m.head(m.conv(x).mean((2, 3))), conv=nn.Conv2d(3, 4, 3), head=head)
    classifier = wrap(net)
    assert zero_head(classifier.network) == "head (Linear)"
    assert "because the weights of its head head (Linear) are all zero" in no_layer(classifier)


@pytest.mark.slow
def test_a_vision_transformer_is_read_before_its_last_attention(torchvision_network):
    classifier = torchvision_network("vit_b_16")
    layer = pick_layer(classifier, None)
    assert layer == Layer("encoder.layers.encoder_layer_11.ln_1", "LayerNorm", 768, 14, 14, "tokens", prefix=1)
    listed = {found.name: found for found in spatial_layers(classifier)}
    # Behind it only the class token is read: the places of the map get no gradient.
    assert listed["encoder"].silent
    assert not listed["encoder.layers.encoder_layer_10"].silent
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    gradient = View(classifier, pixels, watch=[layer.name]).watched_gradient(layer.name, torch.eye(1000)[:1])
    assert layer.spatial(gradient).shape == (1, 768, 14, 14)
    assert layer.spatial(gradient).any()


def test_swin_v2_is_read_the_right_way_round(torchvision_network):
    layers = {layer.name: layer for layer in spatial_layers(torchvision_network("swin_v2_t", 256))}
    assert layers["features.0"] == Layer("features.0", "Sequential", 96, 64, 64, "channels-last")
