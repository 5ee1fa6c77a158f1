"""Attributions against captum, pytorch-grad-cam and what is known in closed form."""

import copy

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from advcli.attributions import grad_cam as grad_cam_module
from advcli.attributions import gradient as gradient_module
from advcli.attributions import input_x_gradient as input_x_gradient_module
from advcli.attributions import integrated_gradients as integrated_gradients_module
from advcli.attributions import smoothgrad as smoothgrad_module
from advcli.attributions._noise import SampleNoise
from advcli.core.scores import Target
from advcli.models.layers import pick_layer
from advcli.models.view import View

EXACT, SINGLE = 1e-6, 1e-5  # relative to the largest value: float64 rounded once, and float32 throughout


def called_as(method):
    """Give a method as a function of classifier, pixels, classes and score, in float32."""

    def call(classifier, pixels, classes, *, score="logit", **settings):
        watch = [settings["layer"].name] if "layer" in settings else []
        return method(View(classifier, pixels, watch=watch), Target(classes, score), **settings).float()

    return call


gradient = called_as(gradient_module.gradient)
input_x_gradient = called_as(input_x_gradient_module.input_x_gradient)
integrated_gradients = called_as(integrated_gradients_module.integrated_gradients)
grad_cam = called_as(grad_cam_module.grad_cam)
smoothgrad = called_as(smoothgrad_module.smoothgrad)


def noise_of(count, seed=0):
    return SampleNoise.of(seed, [f"picture {place}" for place in range(count)], "smoothgrad")


def assert_close(found, expected, relative):
    assert found.shape == expected.shape
    assert (found.double() - expected.double()).abs().max() <= relative * expected.abs().max()


def pair_of(kind, trained):
    """Our classifier, the network that the libraries are given, and how far their answers may lie apart."""
    if kind == "exact":
        return trained.exact, copy.deepcopy(trained.exact_network), EXACT
    return trained.classifier, copy.deepcopy(trained.network), SINGLE


@pytest.fixture(params=["exact", "single"])
def pair(request, trained):
    return pair_of(request.param, trained)


@pytest.fixture(params=["exact", "single"])
def smooth_pair(request, smooth):
    return pair_of(request.param, smooth)


class Scored(nn.Module):
    """A network whose output is the score, class by class."""

    def __init__(self, network, score):
        super().__init__()
        self.network, self.score = network, score

    def forward(self, pixels):
        logits = self.network(pixels).double()
        return {
            "logit": logits,
            "prob": logits.softmax(1),
            "logprob": logits.log_softmax(1),
            "loss": -logits.log_softmax(1),
        }[self.score]


@pytest.mark.parametrize("score", ["logit", "prob", "logprob", "loss"])
def test_the_gradient_is_captums_saliency(trained, pair, score):
    ours, theirs, relative = pair
    pixels = trained.images.clone().requires_grad_()
    saliency = captum.attr.Saliency(Scored(theirs, score)).attribute(pixels, target=trained.labels, abs=False).detach()
    for reduce, expected in (
        ("sum", saliency.sum(1)),
        ("max", saliency.abs().amax(1)),
        ("l2", saliency.double().norm(dim=1)),
    ):
        found = gradient(ours, trained.images, trained.labels, score=score, reduce=reduce)
        assert_close(found, expected, 10 * relative if score == "prob" else relative)


def test_input_x_gradient_is_captums(trained, pair):
    ours, theirs, relative = pair
    reference = captum.attr.InputXGradient(theirs)
    expected = reference.attribute(trained.images.clone().requires_grad_(), target=trained.labels).detach()
    assert_close(input_x_gradient(ours, trained.images, trained.labels), expected.double().sum(1), relative)


def samples_of(noise, images, samples, level):
    """The noisy pictures, drawn one at a time."""
    for index in range(samples):
        rows = torch.arange(len(images))
        drawn = noise.normal(rows, torch.full_like(rows, index), *images.shape[1:])
        ranges = [level * float(image.max() - image.min()) for image in images]
        sigma = torch.tensor(ranges, dtype=torch.float64).view(-1, 1, 1, 1)
        yield (images.double() + sigma * drawn.double()).float()


@pytest.mark.parametrize("score", ["logit", "prob"])
@pytest.mark.parametrize("reduce", ["sum", "l2"])
def test_smoothgrad_is_the_mean_of_the_gradients_of_noisy_pictures(trained, smooth_pair, score, reduce):
    ours, theirs, relative = smooth_pair
    noise = noise_of(len(trained.images))
    total = 0
    for noisy in samples_of(noise, trained.images, 7, 0.3):
        assert noisy.min() < 0  # never clamped
        leaf = noisy.requires_grad_()
        chosen = Scored(theirs, score)(leaf).gather(1, trained.labels[:, None]).sum()
        total = total + torch.autograd.grad(chosen, leaf)[0].double()
    expected = (total / 7).sum(1) if reduce == "sum" else (total / 7).norm(dim=1)
    settings = {"noise": noise, "samples": 7, "noise_level": 0.3, "reduce": reduce, "score": score}
    assert_close(smoothgrad(ours, trained.images, trained.labels, **settings), expected, 10 * relative)


def test_one_noiseless_sample_of_smoothgrad_is_the_gradient(trained):
    arguments = (trained.classifier, trained.images, trained.labels)
    found = smoothgrad(*arguments, noise=noise_of(40), samples=1, noise_level=0.0)
    assert torch.equal(found, gradient(*arguments))


def test_smoothgrad_of_a_sum_of_squares_is_twice_the_picture(wrap):
    classifier = wrap(Function(lambda x: x.square().sum((1, 2, 3))))
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(1, dtype=torch.int64)
    found = smoothgrad(classifier, pixels, zero, noise=noise_of(1), samples=4000, noise_level=0.15)
    sigma = 0.15 * float(pixels.max() - pixels.min())
    error = (found - 2 * pixels.sum(1)) / (2 * sigma * (3 / 4000) ** 0.5)  # in standard deviations of its mean
    assert 0.8 < float(error.std()) < 1.2
    assert float(error.mean().abs()) < 0.5


def test_the_noise_of_a_picture_is_as_wide_as_its_own_range(wrap):
    seen = []

    def watched(x):
        seen.append(x.detach().clone())
        return x.sum((1, 2, 3))

    classifier = wrap(Function(watched))
    pixels = torch.stack([torch.full((3, 8, 8), 0.5), torch.linspace(0.2, 0.6, 192).view(3, 8, 8)])
    seen.clear()
    smoothgrad(classifier, pixels, torch.zeros(2, dtype=torch.int64), noise=noise_of(2), samples=400)
    points = torch.cat(seen)[:800].view(400, 2, 3, 8, 8)  # index by index, both pictures each time
    assert torch.equal(points[:, 0], torch.full((400, 3, 8, 8), 0.5).double())
    assert float((points[:, 1] - pixels[1]).std()) == pytest.approx(0.15 * 0.4, rel=0.01)


BASELINES = {"black": 0.0, "white": 1.0, "grey": 0.5}


@pytest.mark.parametrize(("rule", "method"), [("gauss-legendre", "gausslegendre"), ("midpoint", "riemann_middle")])
@pytest.mark.parametrize("steps", [2, 7, 50])
def test_integrated_gradients_are_captums(trained, smooth_pair, rule, method, steps):
    ours, theirs, relative = smooth_pair
    reference = captum.attr.IntegratedGradients(Scored(theirs, "logit"))
    expected = reference.attribute(trained.images, 0.0, target=trained.labels, n_steps=steps, method=method)
    found = integrated_gradients(ours, trained.images, trained.labels, steps=steps, rule=rule)
    assert_close(found, expected.sum(1), relative)


def test_on_kinks_integrated_gradients_are_captums_for_almost_every_picture(trained, pair):
    ours, theirs, relative = pair
    reference = captum.attr.IntegratedGradients(theirs)
    expected = reference.attribute(trained.images, target=trained.labels, method="riemann_middle").sum(1).double()
    found = integrated_gradients(ours, trained.images, trained.labels).double()
    apart = (found - expected).abs().flatten(1).amax(1) / expected.abs().max()
    assert (apart <= relative).float().mean() >= 0.9
    assert apart.max() < 0.02


@pytest.mark.parametrize("baseline", ["white", "grey", "mean"])
@pytest.mark.parametrize("score", ["logit", "logprob"])
def test_baselines_are_pictures(trained, smooth_pair, baseline, score):
    ours, theirs, relative = smooth_pair
    start = torch.full_like(trained.images, BASELINES.get(baseline, 0))
    if baseline == "mean":
        start = trained.images.mean((2, 3), keepdim=True).expand_as(trained.images)
    reference = captum.attr.IntegratedGradients(Scored(theirs, score))
    expected = reference.attribute(trained.images, start, target=trained.labels, n_steps=20, method="riemann_middle")
    found = integrated_gradients(ours, trained.images, trained.labels, score=score, steps=20, baseline=baseline)
    assert_close(found, expected.sum(1), relative)


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre", "trapezoid"])
def test_the_map_adds_up_to_the_change_of_the_score(trained, rule):
    logits = [trained.exact_network(pixels) for pixels in (trained.images, torch.zeros_like(trained.images))]
    rise = (logits[0] - logits[1]).gather(1, trained.labels[:, None])[:, 0].double()
    gaps = []
    for steps in (10, 300):
        notes = {}
        maps = integrated_gradients(trained.exact, trained.images, trained.labels, steps=steps, rule=rule, notes=notes)
        gap = (maps.double().sum((1, 2)) - rise).abs() / rise.abs()
        assert torch.allclose(notes["completeness_gap"], gap, rtol=1e-3, atol=1e-5)
        gaps.append(gap)
    assert gaps[1].max() < 0.005
    assert gaps[1].mean() < gaps[0].mean()


class Function(nn.Module):
    """Two logits: a function of the pixels, and zero."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, pixels):
        value = self.function(pixels.double())
        return torch.stack([value, 0 * value], 1).float()


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre", "trapezoid"])
def test_integrated_gradients_of_a_sum_of_squares_are_the_squares(wrap, rule):
    classifier = wrap(Function(lambda x: x.square().sum((1, 2, 3))))
    zero = torch.zeros(1, dtype=torch.int64)
    maps = integrated_gradients(classifier, torch.ones(1, 3, 8, 8), zero, rule=rule)
    assert torch.allclose(maps, torch.full((1, 8, 8), 3.0), rtol=1e-6)  # 1 for each of three channels
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    maps = integrated_gradients(classifier, pixels, zero, rule=rule, baseline="white")
    assert torch.allclose(maps, (pixels.square() - 1).sum(1), atol=1e-5)


@pytest.mark.parametrize(("steps", "value"), [(10, 0.7), (50, 0.7), (200, 0.7)])
def test_the_midpoint_rule_is_right_on_a_kink(wrap, steps, value):
    classifier = wrap(Function(lambda x: (x[:, 0, 0, 0] - 0.3).relu()))
    maps = integrated_gradients(classifier, torch.ones(1, 3, 8, 8), torch.zeros(1, dtype=torch.int64), steps=steps)
    assert float(maps.sum()) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre", "trapezoid"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_of_a_linear_model_every_rule_gives_weight_times_pixel(half_space, rule, steps):
    problem = half_space(7, 5)
    weight = problem.weight[problem.label].view(7, 3, 8, 8)
    notes = {}
    maps = integrated_gradients(problem.classifier, problem.images, problem.label, rule=rule, steps=steps, notes=notes)
    assert torch.allclose(maps.double(), (weight * problem.images).sum(1), atol=1e-5)
    assert notes["completeness_gap"].max() < 1e-4
    assert torch.allclose(
        gradient(problem.classifier, problem.images, problem.label).double(), weight.sum(1), atol=1e-6
    )


def test_an_image_that_is_its_own_baseline_has_an_empty_map_and_no_gap(trained):
    pixels, notes = torch.stack([torch.zeros(3, 16, 16), trained.images[0]]), {}
    maps = integrated_gradients(trained.classifier, pixels, trained.labels[:2], notes=notes)
    assert not maps[0].any()
    assert maps[1].any()
    assert notes["completeness_gap"][0] == 0
    assert 0 < notes["completeness_gap"][1] < 0.1


LAYERS = ["5", "8"]


def watched(ours, name):
    prefix = "network." if any(known.startswith("network.") for known, _ in ours.network.named_modules()) else ""
    return pick_layer(ours, prefix + name)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("relu", [True, False])
def test_grad_cam_is_captums(trained, pair, layer, relu):
    ours, theirs, relative = pair
    reference = captum.attr.LayerGradCam(theirs, theirs.network[int(layer)])
    low = reference.attribute(trained.images, target=trained.labels, relu_attributions=relu).detach()
    expected = F.interpolate(low, (16, 16), mode="bilinear", align_corners=False)[:, 0]
    found = grad_cam(ours, trained.images, trained.labels, layer=watched(ours, layer), relu=relu)
    assert_close(found, expected, relative)


@pytest.mark.parametrize("score", ["prob", "logprob"])
def test_grad_cam_of_other_scores_is_captums(trained, score):
    theirs = Scored(copy.deepcopy(trained.exact_network), score)
    reference = captum.attr.LayerGradCam(theirs, theirs.network.network[8])
    low = reference.attribute(trained.images, target=trained.labels).detach()
    expected = F.interpolate(low, (16, 16), mode="bilinear", align_corners=False)[:, 0]
    layer = watched(trained.exact, "8")
    found = grad_cam(trained.exact, trained.images, trained.labels, layer=layer, score=score, relu=False)
    assert_close(found, expected, 10 * EXACT)


@pytest.mark.parametrize("layer", LAYERS)
def test_grad_cam_is_displayed_as_pytorch_grad_cam_displays_it(trained, pair, layer):
    ours, theirs, _ = pair
    targets = [ClassifierOutputTarget(int(label)) for label in trained.labels]
    with GradCAM(theirs, [theirs.network[int(layer)]]) as reference:
        expected = reference(input_tensor=trained.images.clone().requires_grad_(), targets=targets)
    maps = grad_cam(ours, trained.images, trained.labels, layer=watched(ours, layer)).numpy()
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    assert (high > 0).all()
    assert np.abs((maps - low) / (high - low) - expected).max() <= 2e-6


class Toy(nn.Module):
    """Four times the channels of the picture, pooled, and weighted 1, -1/2 and 0 (or as given)."""

    def __init__(self, weights=(1.0, -0.5, 0.0), layout="channels-first"):
        super().__init__()
        self.map, self.layout = nn.Identity(), layout
        self.weights = torch.tensor(weights)

    def forward(self, pixels):
        channels = 4 * pixels
        if self.layout == "channels-last":
            pooled = self.map(channels.movedim(1, 3)).mean((1, 2))
        elif self.layout == "tokens":
            tokens = channels.flatten(2).movedim(2, 1)
            pooled = self.map(torch.cat([tokens[:, :1] * 0, tokens], 1))[:, 1:].mean(1)
        else:
            pooled = self.map(channels).mean((2, 3))
        value = pooled @ self.weights
        return torch.stack([value, 0 * value], 1)


A1, A2 = [[1.0, 2.0], [3.0, 4.0]], [[4.0, 3.0], [2.0, 1.0]]
TOY = torch.tensor([[A1, A2, [[0.0, 0.0], [0.0, 0.0]]]]) / 4
ZERO = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("layout", ["channels-first", "channels-last", "tokens"])
def test_grad_cam_of_the_toy_is_what_it_is_on_paper(wrap, layout):
    classifier = wrap(Toy(layout=layout), size=2)
    layer = pick_layer(classifier, "map")
    assert layer.layout == layout
    raw = grad_cam(classifier, TOY, ZERO, layer=layer, relu=False)
    assert torch.equal(raw, torch.tensor([[[-0.25, 0.125], [0.5, 0.875]]]))
    assert torch.equal(grad_cam(classifier, TOY, ZERO, layer=layer), torch.tensor([[[0, 0.125], [0.5, 0.875]]]))


def test_grad_cam_without_evidence_is_blank(wrap):
    classifier = wrap(Toy(weights=(-1.0, -0.5, 0.0)), size=2)
    maps = grad_cam(classifier, TOY, ZERO, layer=pick_layer(classifier, "map"))
    assert torch.equal(maps, torch.zeros(1, 2, 2))


def test_maps_are_resized_with_half_pixel_centers(wrap):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.AvgPool2d(2)

        def forward(self, pixels):
            value = 12 * self.map(pixels)[:, 0].mean((1, 2))
            return torch.stack([value, 0 * value], 1)

    corners = torch.tensor([[0.0, 1.0], [2.0, 3.0]]) / 3
    pixels = torch.zeros(1, 3, 4, 4)
    pixels[:, 0] = corners.repeat_interleave(2, 0).repeat_interleave(2, 1)
    classifier = wrap(Pooled(), size=4)
    maps = grad_cam(classifier, pixels, ZERO, layer=pick_layer(classifier, "map"))
    expected = [[0, 0.25, 0.75, 1], [0.5, 0.75, 1.25, 1.5], [1.5, 1.75, 2.25, 2.5], [2, 2.25, 2.75, 3]]
    assert torch.allclose(maps, torch.tensor([expected]), atol=1e-6)
