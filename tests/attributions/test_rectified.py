"""Guided backpropagation and its relatives: every way to call a ReLU, closed forms, and where captum is wrong."""

import copy
import warnings

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.attributions import deconvnet as deconvnet_module
from advcli.attributions import guided_backprop as guided_backprop_module
from advcli.attributions.grad_cam import grad_cam
from advcli.attributions.gradient import gradient
from advcli.attributions.guided_grad_cam import guided_grad_cam
from advcli.core.scores import Target
from advcli.models.layers import pick_layer
from advcli.models.rectifiers import Rectifying
from advcli.models.view import View
from advcli.registry import Method

RULES = {
    "guided": (guided_backprop_module.guided_backprop, captum.attr.GuidedBackprop),
    "deconvolution": (deconvnet_module.deconvnet, captum.attr.Deconvolution),
}


def maps(method, classifier, pixels, classes, **settings):
    return method(View(classifier, pixels), Target(classes), **settings)


def captums(reference, network, pixels, classes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks
        leaf = pixels.clone().requires_grad_()
        return reference(network).attribute(leaf, target=classes).detach().double().sum(1)


@pytest.mark.parametrize("rule", RULES)
def test_of_a_network_of_modules_the_maps_are_captums(trained, rule):
    ours, theirs = RULES[rule]
    network = copy.deepcopy(trained.exact_network)
    expected = captums(theirs, network, trained.images, trained.labels)
    found = maps(ours, trained.exact, trained.images, trained.labels)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


class Toy(nn.Module):
    """W2 relu(W1 x) of the red values of two pixels; minus it as the other logit."""

    def __init__(self, relu):
        super().__init__()
        self.first = torch.tensor([[1.0, -1.0], [2.0, 1.0], [-1.0, -1.0]])
        self.second = torch.tensor([1.0, -1.0, 1.0])
        self.relu = relu

    def forward(self, pixels):
        x = pixels[:, 0].flatten(1) * 2 * torch.tensor([1.0, 0.5])  # (1, 1) stands for (2, 1)
        value = self.relu(x @ self.first.T) @ self.second
        return torch.stack([value, -value], 1)


def in_place_and_ignored(z):
    z.relu_()
    return z


CALLS = {
    "module": nn.ReLU(), "in-place module": nn.ReLU(inplace=True), "F.relu": F.relu, "torch.relu": torch.relu,
    "method": lambda z: z.relu(), "method in place": lambda z: z.relu_(), "result ignored": in_place_and_ignored,
    "F.relu in place": lambda z: F.relu(z, inplace=True), "positional": lambda z: F.relu(z, True),
    "F.relu_": F.relu_, "torch.relu_": torch.relu_, "keyword": lambda z: F.relu(input=z),
    "ReLU6": lambda z: 3 * nn.ReLU6()(z / 3), "F.relu6": lambda z: 3 * F.relu6(z / 3),
    "ReLU6 in place": lambda z: 3 * nn.ReLU6(inplace=True)(z / 3), "aten": torch.ops.aten.relu.default,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("rule", "expected"), [("guided", (1.0, -1.0)), ("deconvolution", (0.0, -2.0))])
def test_the_toy_is_what_it_is_on_paper_however_its_relu_is_called(make_classifier, call, rule, expected):
    classifier = make_classifier(Toy(CALLS[call]), (1, 2))
    pixels = torch.ones(1, 3, 1, 2)
    assert classifier.logits(pixels)[0, 0] == -4
    # Behind x = (2, 1) stand factors 2 and 1 on the pixels.
    found = maps(RULES[rule][0], classifier, pixels, torch.tensor([0]))[0, 0]
    assert torch.equal(found / torch.tensor([2.0, 1.0]), torch.tensor(expected).double())
    plain = maps(gradient, classifier, pixels, torch.tensor([0]))[0, 0]
    assert torch.equal(plain / torch.tensor([2.0, 1.0]), torch.tensor([-1.0, -2.0]).double())


class Functional(nn.Module):
    """The convolutions of the trained network, with functional ReLUs."""

    def __init__(self, network):
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in network if not isinstance(layer, nn.ReLU))

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x)) if isinstance(layer, nn.BatchNorm2d) else layer(x)
        return x


@pytest.mark.parametrize("rule", RULES)
def test_functional_relus_are_guided_too_where_captum_gives_the_plain_gradient(trained, wrap, rule):
    ours, theirs = RULES[rule]
    network = copy.deepcopy(trained.exact_network)
    network.network = Functional(network.network).eval()
    classifier = wrap(network, classes=5, size=16)
    found = maps(ours, classifier, trained.images, trained.labels)
    expected = maps(ours, trained.exact, trained.images, trained.labels)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    plain = maps(gradient, classifier, trained.images, trained.labels)
    wrong = captums(theirs, network, trained.images, trained.labels)
    assert (wrong - plain).abs().max() <= 1e-6 * plain.abs().max()
    assert (found - plain).abs().max() > 0.1 * plain.abs().max()


class Skip(nn.Module):
    """relu(z) - 5 z of a tensor that two branches read."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 4, bias=False)
        self.relu = nn.ReLU()

    def forward(self, pixels):
        z = self.mix(pixels.flatten(1))
        return self.relu(z) - 5 * z


def test_only_the_relu_is_guided_where_others_read_its_input_too(make_classifier):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Skip()
    classifier = make_classifier(network, (1, 1), classes=4)
    pixels = torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(4)
    weight = network.mix.weight.detach().double()[classes]
    active = (weight * pixels.flatten(1).double()).sum(1, keepdim=True) > 0
    expected = (weight * (active.double() - 5)).sum(1)  # the gradient at the ReLU is 1: nothing to clamp
    found = maps(RULES["guided"][0], classifier, pixels, classes)[:, 0, 0]
    assert torch.allclose(found, expected, rtol=1e-6)
    wrong = captums(captum.attr.GuidedBackprop, network, pixels, classes)[:, 0, 0]
    assert not torch.allclose(wrong, expected, rtol=0.1)


def test_a_relu_that_is_called_many_times_is_guided_every_time(wrap):
    relu = nn.ReLU(inplace=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 2)]
    reused = nn.Sequential(layers[0], relu, layers[1], relu, nn.AdaptiveAvgPool2d(1), nn.Flatten(), layers[2])
    fresh = nn.Sequential(*(nn.ReLU() if one is relu else one for one in copy.deepcopy(reused)))
    fresh[1], fresh[3] = nn.ReLU(), nn.ReLU()
    pixels, classes = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0])
    ours = RULES["guided"][0]
    assert torch.equal(maps(ours, wrap(reused), pixels, classes), maps(ours, wrap(fresh), pixels, classes))


def test_networks_without_relus_are_refused_and_mixed_ones_are_flagged(wrap):
    def network(*activations):
        layers = [nn.Conv2d(3, 3, 1), *activations, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)]
        return wrap(nn.Sequential(*layers))

    for name in ("guided-backprop", "deconvnet", "guided-grad-cam"):
        method = Method("attribution", name, {})
        assert method.refusal(network(nn.ReLU(), nn.GELU())) is None
        refused = method.refusal(network(nn.GELU(), nn.SiLU(), nn.Sigmoid()))
        assert refused.startswith("test has no relus that can be rerouted (it has gelu, sigmoid, silu)")
    for classifier, share in ((network(nn.ReLU(), nn.GELU(), nn.GELU()), 1 / 3), (network(nn.ReLU()), 1.0)):
        notes, flags = {}, {}
        pixels = torch.rand(2, 3, 8, 8)
        maps(RULES["guided"][0], classifier, pixels, torch.tensor([0, 1]), notes=notes, flags=flags)
        assert notes["relu_share"].tolist() == [share, share]
        assert flags["mixed-nonlinearities"].tolist() == [share < 1] * 2


def test_a_scripted_network_whose_calls_are_not_seen_is_refused(wrap):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.ReLU(), nn.Linear(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        scripted = torch.jit.script(network)
    assert Method("attribution", "guided-backprop", {}).refusal(wrap(network)) is None
    assert "has no relus" in Method("attribution", "guided-backprop", {}).refusal(wrap(scripted))


def test_relus_are_counted_and_are_plain_again_afterwards(trained):
    pixels = trained.images[:2].clone().requires_grad_()
    with Rectifying("guided") as mode:
        inside = trained.classifier.network(trained.classifier.normalize(pixels))
        F.hardtanh(pixels)
    assert (mode.rerouted, mode.others) == (3, {})
    outside = trained.classifier.network(trained.classifier.normalize(pixels))
    assert torch.equal(inside, outside)
    guided, plain = (torch.autograd.grad(logits[:, 0].sum(), pixels)[0] for logits in (inside, outside))
    assert not torch.equal(guided, plain)


def test_guided_grad_cam_is_the_product_of_the_two(trained):
    layer = pick_layer(trained.exact, None)
    view = View(trained.exact, trained.images, watch=[layer.name])
    target = Target(trained.labels)
    found = guided_grad_cam(view, target, layer=layer)
    product = maps(RULES["guided"][0], trained.exact, trained.images, trained.labels) * grad_cam(
        view, target, layer=layer
    )
    assert torch.allclose(found, product, rtol=1e-9, atol=1e-12 * float(product.abs().max()))
    theirs = copy.deepcopy(trained.exact_network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = captum.attr.GuidedGradCam(theirs, theirs.network[8])
        leaf = trained.images.clone().requires_grad_()
        expected = (
            reference.attribute(leaf, target=trained.labels, interpolate_mode="bilinear").detach().double().sum(1)
        )
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "agrees", "count"),
    [("resnet18", True, 17), ("regnet_y_400mf", True, 65), ("densenet121", False, 121), ("googlenet", False, 57)],
)
def test_of_torchvisions_networks_captum_is_right_where_all_relus_are_modules(make_classifier, name, agrees, count):
    from torchvision import models

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GoogLeNet's weights
        torch.manual_seed(0)
        options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        network = models.get_model(name, weights=None, num_classes=5, **options).double().eval()

    class Exact(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, pixels):
            return self.network(pixels.double()).float()

    classifier = make_classifier(Exact(), (64, 64), classes=5, block=1)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), Rectifying("guided") as mode:
        classifier.network(pixels)
    assert mode.rerouted == count
    found = maps(RULES["guided"][0], classifier, pixels, torch.tensor([2]))
    expected = captums(captum.attr.GuidedBackprop, Exact(), pixels, torch.tensor([2]))
    apart = float((found - expected).abs().max() / expected.abs().max())
    assert apart < 1e-5 if agrees else apart > 0.05
    if name == "googlenet":  # the plain gradient, and captum does not say so
        plain = maps(gradient, classifier, pixels, torch.tensor([2]))
        assert torch.allclose(expected, plain, rtol=1e-4, atol=1e-5 * float(plain.abs().max()))
