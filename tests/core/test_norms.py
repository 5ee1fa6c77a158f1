"""Balls: sizes, projections, steepest directions and uniform draws against their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from advcli.core.norms import BALLS

NORMS = sorted(BALLS)
ORDER = {"linf": float("inf"), "l2": 2}


def batch(seed, count=6, size=4):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, size, size, generator=generator)
    eps = torch.rand(count, generator=generator) * 2
    return images, images + 2 * torch.randn(images.shape, generator=generator), eps


@pytest.fixture(params=NORMS)
def norm(request):
    return request.param


def test_sizes_are_the_norms(norm):
    images, pixels, _ = batch(0)
    expected = (pixels - images).double().flatten(1).norm(p=ORDER[norm], dim=1).float()
    assert torch.equal(BALLS[norm].size(pixels - images), expected)


@given(st.integers(0, 2**31), st.sampled_from(NORMS))
def test_a_projection_is_inside_and_a_second_one_changes_nothing(seed, norm):
    images, pixels, eps = batch(seed)
    once = BALLS[norm].project(pixels, images, eps)
    assert 0 <= once.min() <= once.max() <= 1
    assert (BALLS[norm].size(once - images) <= eps + 1e-6).all()
    assert torch.allclose(BALLS[norm].project(once, images, eps), once, rtol=0, atol=1e-6)


def test_what_is_inside_stays(norm):
    images, pixels, eps = batch(1)
    images = 0.4 + 0.2 * images
    delta = 0.999 * 0.4 * eps.view(-1, 1, 1, 1) * BALLS[norm].steepest(pixels) / 2
    found = BALLS[norm].project(images + delta, images, eps * 0.2)
    assert torch.allclose(found, images + delta, rtol=0, atol=1e-7)


def test_a_projection_is_the_nearest_point_of_the_ball(norm):
    images, pixels, _ = batch(2)
    images, pixels = 0.5 + 0 * images, 0.5 + 0.01 * (pixels - images)  # [0, 1] is far
    eps = BALLS[norm].size(pixels - images) / 2
    found = BALLS[norm].project(pixels, images, eps)
    assert torch.allclose(BALLS[norm].size(found - images), eps, rtol=1e-4)
    if norm == "l2":
        expected = images + (pixels - images) / 2
    else:
        radius = eps.view(-1, 1, 1, 1)
        expected = images + (pixels - images).clamp(-radius, radius)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_ball_without_radius_is_its_center(norm):
    images, pixels, eps = batch(3)
    assert torch.equal(BALLS[norm].project(pixels, images, eps * 0), images)
    assert torch.equal(BALLS[norm].project(images, images, eps * 0), images)


def test_no_direction_of_length_one_rises_more_than_the_steepest(norm):
    _, gradient, _ = batch(4)
    steepest = BALLS[norm].steepest(gradient)
    assert torch.allclose(BALLS[norm].size(steepest), torch.ones(len(gradient)))
    rise = (steepest * gradient).double().flatten(1).sum(1)
    dual = {"linf": 1, "l2": 2}[norm]
    assert torch.allclose(rise, gradient.double().flatten(1).norm(p=dual, dim=1), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-38, 1e30])
def test_the_steepest_direction_survives_tiny_and_huge_gradients(norm, scale):
    _, gradient, _ = batch(5)
    assert torch.allclose(BALLS[norm].steepest(gradient * scale), BALLS[norm].steepest(gradient), atol=1e-6)


def test_no_gradient_gives_no_direction(norm):
    _, gradient, _ = batch(6)
    gradient[2] = 0
    steepest = BALLS[norm].steepest(gradient)
    assert not steepest[2].any()
    assert torch.isfinite(steepest).all()


@pytest.fixture
def draws(make_rows):
    """Draw perturbations of 3 x 2 x 2 pixels, in balls of many radii."""

    def draw(norm, count=4000):
        images = torch.full((count, 3, 2, 2), 0.5)
        eps = torch.linspace(0.1, 3, count)
        rows = make_rows(images, torch.zeros(count, dtype=torch.int64), eps=eps)
        return BALLS[norm].sample(rows.noise, images, eps), eps

    return draw


def test_draws_are_uniform_in_the_ball(draws, norm):
    delta, eps = draws(norm)
    sizes = BALLS[norm].size(delta) / eps
    assert (sizes <= 1 + 1e-6).all()
    # The share of the ball within radius r is r^d, in any norm.
    assert stats.kstest(sizes.double().pow(12).numpy(), "uniform").pvalue > 0.01
    # Every direction is as likely as its mirror image, and no pixel is special.
    assert (delta.mean((2, 3)) / eps[:, None]).mean().abs() < 0.01
    spread = (delta / eps.view(-1, 1, 1, 1)).flatten(1).square().mean(0)
    expected = {"linf": 1 / 3, "l2": 1 / 14}[norm]  # E[x_i^2] in the unit ball: 1/3, 1/(d + 2)
    assert torch.allclose(spread, torch.full((12,), expected), rtol=0.1)


def test_directions_of_l2_draws_are_isotropic(draws):
    delta, _ = draws("l2")
    cosine = torch.nn.functional.normalize(delta.flatten(1).double())[:, 0]
    # A coordinate of a uniform direction in d dimensions, squared, has the distribution Beta(1/2, (d - 1)/2).
    assert stats.kstest(cosine.square().numpy(), stats.beta(0.5, 5.5).cdf).pvalue > 0.01


def test_a_row_has_the_same_draw_and_size_in_any_batch(make_rows, norm):
    images, _, eps = batch(7, count=33, size=16)
    rows = make_rows(images, torch.zeros(33, dtype=torch.int64), eps=eps)
    together = BALLS[norm].sample(rows[:].noise, images, eps)
    for place in (0, 13, 32):
        here = slice(place, place + 1)
        alone = BALLS[norm].sample(rows[here].noise, images[here], eps[here])
        assert torch.equal(alone, together[here])
        assert torch.equal(BALLS[norm].size(alone), BALLS[norm].size(together)[here])
