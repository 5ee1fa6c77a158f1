"""Squares and variance of noisy gradients, expected gradients, baselines and quadratures, in closed form."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from advcli.attributions import _noise, expected_gradients, integrated_gradients, smoothgrad, squaregrad, vargrad
from advcli.attributions._run import Request, explain_batch
from advcli.attributions.edge import edge
from advcli.attributions.random import random
from advcli.core.blurring import blurred
from advcli.core.scores import Target
from advcli.models.view import View
from advcli.registry import Method, parse_methods

ZERO = torch.zeros(1, dtype=torch.int64)
METHODS = {
    module.__name__.rpartition(".")[2]: getattr(module, module.__name__.rpartition(".")[2])
    for module in (expected_gradients, integrated_gradients, smoothgrad, squaregrad, vargrad)
}


def maps(name, classifier, pixels, classes, **settings):
    return METHODS[name](View(classifier, pixels), Target(classes), **settings)


def noise_of(count, seed=0):
    return _noise.SampleNoise.of(seed, [f"picture {place}" for place in range(count)], "test")


class Function(nn.Module):
    """Two logits: a function of the pixels, and zero."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, pixels):
        value = self.function(pixels.double())
        return torch.stack([value, 0 * value], 1).float()


def squares(x):
    return x.square().sum((1, 2, 3))


def sums(x):
    return x.sum((1, 2, 3))


def test_of_a_sum_of_squares_they_are_what_they_are_on_paper(wrap):
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    sigma = 0.15 * float(pixels.max() - pixels.min())
    settings = {"noise": noise_of(1), "samples": 4000}
    classifier = wrap(Function(squares))
    mean, square, variance = (
        maps(name, classifier, pixels, ZERO, **settings)[0] for name in ("smoothgrad", "squaregrad", "vargrad")
    )
    x = pixels[0].double()
    assert torch.allclose(mean, 2 * x.sum(0), atol=5 * 2 * sigma * (3 / 4000) ** 0.5)
    assert float((square - (4 * x.square() + 4 * sigma**2).sum(0)).abs().max()) < 0.15
    error = (variance / (3 * 4 * sigma**2) - 1) / (2 / 3 / 4000) ** 0.5  # of a mean of three chi-squares
    assert float(error.abs().max()) < 5
    assert 0.7 < float(error.std()) < 1.3


def test_the_variance_is_the_square_less_the_square_of_the_mean(trained):
    images, labels = trained.images[:4], trained.labels[:4]
    settings = {"noise": noise_of(4), "samples": 9}
    square, variance = (maps(name, trained.exact, images, labels, **settings) for name in ("squaregrad", "vargrad"))
    gradients = []
    for index in range(9):
        rows = torch.arange(4)
        drawn = settings["noise"].normal(rows, torch.full_like(rows, index), 3, 16, 16)
        sigma = 0.15 * (images.amax((1, 2, 3)) - images.amin((1, 2, 3))).view(-1, 1, 1, 1).double()
        leaf = (images.double() + sigma * drawn).float().requires_grad_()
        logits = trained.exact_network(leaf).gather(1, labels[:, None]).sum()
        gradients.append(torch.autograd.grad(logits, leaf)[0].double())
    stacked = torch.stack(gradients)
    assert torch.allclose(square, stacked.square().mean(0).sum(1), rtol=1e-5)
    assert torch.allclose(variance, stacked.var(0, unbiased=False).sum(1), rtol=1e-4)


def test_a_variance_far_below_the_square_is_not_lost(wrap):
    """f = 1000 x + x^2 / 1000: captum's difference of means gives -0.44 in float32 where the truth is 4e-6 sigma^2."""
    classifier = wrap(Function(lambda x: (1000 * x + 0.001 * x.square()).sum((1, 2, 3)).double()))
    pixels = torch.linspace(0, 1, 192).view(1, 3, 8, 8)
    # The gradient passes through float32, whose steps at 1000 are 6e-5: noise of that size stays.
    found = maps("vargrad", classifier, pixels, ZERO, noise=noise_of(1), samples=50, noise_level=1.0)
    assert found.min() >= 0
    assert found.max() < 3e-5


def test_a_linear_model_has_no_variance(half_space):
    problem = half_space(3, 5)
    settings = {"noise": noise_of(3), "samples": 5}
    found = maps("vargrad", problem.classifier, problem.images, problem.label, **settings)
    assert found.abs().max() < 1e-10
    square = maps("squaregrad", problem.classifier, problem.images, problem.label, **settings)
    weight = problem.weight[problem.label].view(3, 3, 8, 8)
    assert torch.allclose(square, weight.square().sum(1), rtol=1e-5)
    largest = maps("squaregrad", problem.classifier, problem.images, problem.label, reduce="max", **settings)
    assert torch.allclose(largest, weight.square().amax(1), rtol=1e-5)


@pytest.mark.parametrize("background", ["pictures", "noise"])
def test_expected_gradients_of_a_linear_model_are_weight_times_distance_from_the_mean_baseline(half_space, background):
    problem = half_space(3, 5)
    notes = {}
    found = maps(
        "expected_gradients", problem.classifier, problem.images, problem.label,
        noise=noise_of(3), samples=20, background=background, notes=notes,
    )  # fmt: skip
    assert notes["completeness_gap"].max() < 1e-4
    means = maps(  # of the same baselines, from weights 1
        "expected_gradients", problem.classifier, torch.zeros(3, 3, 8, 8), problem.label,
        noise=noise_of(3), samples=20, background=background,
    )  # fmt: skip
    weight = problem.weight[problem.label].view(3, 3, 8, 8)
    assert torch.allclose(found - means, (weight * problem.images).sum(1), atol=1e-4)


def test_expected_gradients_of_a_sum_of_squares_add_up_to_the_change_of_the_score(wrap):
    notes = {}
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = {"noise": noise_of(1), "samples": 2000, "background": "noise", "notes": notes}
    found = maps("expected_gradients", wrap(Function(squares)), pixels, ZERO, **settings)
    # The mean over uniform baselines b of x^2 - b^2 is x^2 - 1/3.
    assert torch.allclose(found, (pixels.double().square() - 1 / 3).sum(1), atol=0.12)
    assert notes["completeness_gap"].item() < 0.1


@pytest.mark.parametrize(("rule", "steps", "value"), [
    ("left", 50, 0.98), ("right", 50, 1.02), ("right", 20, 1.05), ("midpoint", 50, 1), ("trapezoid", 50, 1),
    ("gauss-legendre", 50, 1),
])  # fmt: skip
def test_quadratures_of_a_sum_of_squares(wrap, rule, steps, value):
    found = maps("integrated_gradients", wrap(Function(squares)), torch.ones(1, 3, 8, 8), ZERO, steps=steps, rule=rule)
    assert torch.allclose(found, torch.full((1, 8, 8), 3.0 * value).double(), rtol=1e-6)


@pytest.mark.parametrize("steps", [2, 7, 50])
def test_captums_trapezoid_is_too_small_where_ours_is_exact(half_space, steps):
    problem = half_space(3, 5)
    weight = problem.weight[problem.label].view(3, 3, 8, 8)
    expected = (weight * problem.images).sum(1)
    reference = captum.attr.IntegratedGradients(problem.classifier.network)
    wrong = reference.attribute(problem.images, target=problem.label, n_steps=steps, method="riemann_trapezoid")
    assert torch.allclose(wrong.double().sum(1), expected * (steps - 1) / steps, atol=1e-4)
    found = maps(
        "integrated_gradients", problem.classifier, problem.images, problem.label, steps=steps, rule="trapezoid"
    )
    assert torch.allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("rule", "method"), [("left", "riemann_left"), ("right", "riemann_right")])
def test_left_and_right_sums_are_captums(smooth, rule, method):
    reference = captum.attr.IntegratedGradients(smooth.exact_network)
    expected = reference.attribute(smooth.images, 0.0, target=smooth.labels, n_steps=9, method=method).double().sum(1)
    found = maps("integrated_gradients", smooth.exact, smooth.images, smooth.labels, steps=9, rule=rule)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_blurred_and_a_noisy_baseline_are_pictures(smooth):
    images, labels = smooth.images[:5], smooth.labels[:5]
    rows = torch.arange(5)
    starts = {"blur": blurred(images), "noise": noise_of(5).uniform(rows, rows * 0, 3, 16, 16).float()}
    reference = captum.attr.IntegratedGradients(smooth.exact_network)
    for baseline, start in starts.items():
        assert start.min() >= 0
        assert start.max() <= 1
        expected = (
            reference.attribute(images, start, target=labels, n_steps=20, method="riemann_middle").double().sum(1)
        )
        found = maps(
            "integrated_gradients", smooth.exact, images, labels, steps=20, baseline=baseline, noise=noise_of(5)
        )
        assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_map_that_does_not_add_up_is_flagged_and_so_is_a_flat_probability(wrap):
    def explained(text, function, score="logit"):
        (method,) = parse_methods("attribution", [text], "--method")
        request = Request(method, Target(ZERO, score))
        (found,) = explain_batch(wrap(Function(function)), torch.ones(1, 3, 8, 8), [request], seed=0, digests=["a"])
        return found.flags

    step = "integrated-gradients:steps=1,rule=left"
    assert explained(step, squares) == (("blank", "incomplete"),)  # black is flat
    assert explained("integrated-gradients:steps=2,rule=left", squares) == (("incomplete",),)
    assert explained("integrated-gradients", squares) == ((),)
    assert explained("gradient", lambda x: 1 + 1e-3 * sums(x), "prob") == ((),)
    assert explained("gradient", lambda x: 20 + 1e-3 * sums(x), "prob") == (("saturated",),)
    assert explained("gradient", lambda x: 20 + 1e-3 * sums(x), "logprob") == ((),)


def test_uniform_numbers_are_uniform_and_belong_to_their_image():
    rows, indices = torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1])
    drawn = noise_of(2).uniform(rows, indices, 5000)
    assert drawn.dtype == torch.float64
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert torch.allclose(drawn.mean(1), torch.full((3,), 0.5).double(), atol=0.02)
    assert torch.allclose(drawn.var(1), torch.full((3,), 1 / 12).double(), atol=0.005)
    assert torch.equal(noise_of(2)[1:].uniform(ZERO, ZERO, 5000)[0], drawn[1])
    assert torch.corrcoef(drawn).fill_diagonal_(0).abs().max() < 0.05


def test_edges_are_the_slope_of_a_ramp_and_nothing_on_a_flat_picture(wrap):
    classifier = wrap(Function(sums))
    ramp = (torch.arange(8.0) / 8).expand(1, 3, 8, 8)
    for pixels in (ramp, ramp.transpose(2, 3)):
        found = edge(View(classifier, pixels.contiguous()), Target(ZERO))
        inside = found[0, 1:-1, 1:-1]
        assert torch.allclose(inside, torch.full_like(inside, 1 / 8))
    assert not edge(View(classifier, torch.full((1, 3, 8, 8), 0.3)), Target(ZERO)).any()
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    found = edge(View(classifier, step), Target(ZERO))[0]
    assert torch.equal(found[2], torch.tensor([0, 0, 0, 0.5, 0.5, 0, 0, 0]).double())


def test_random_maps_are_normal_and_differ_between_images_and_uses(wrap):
    classifier, pixels = wrap(Function(sums), size=64), torch.rand(2, 3, 64, 64)
    found = random(View(classifier, pixels), Target(torch.tensor([0, 1])), noise=noise_of(2))
    assert found.mean().abs() < 0.05
    assert abs(float(found.std()) - 1) < 0.03
    assert abs(float(np.corrcoef(found.flatten(1))[0, 1])) < 0.05
    again = [Request(Method("attribution", "random", {}, occurrence=use), Target(ZERO)) for use in (1, 2)]
    first, second = explain_batch(classifier, pixels[:1], again, seed=0, digests=["a"])
    assert not np.array_equal(first.maps, second.maps)
