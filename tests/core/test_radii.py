"""Balls with a radius per channel: projections, steps, draws and pictures are those of stretched pixels."""

import pytest
import torch
from scipy.optimize import linprog

from advcli.core.grid import beyond, to_grid
from advcli.core.norms import BALLS
from advcli.core.radii import column, largest, radii, shares_of, shrunk, stretched
from advcli.core.randomness import RowNoise

STD = (0.1, 0.2, 0.16)
SHARES = shares_of(STD)
NORMED = ["linf", "l2", "l1"]
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1}
EPS = {"linf": 0.05, "l2": 0.3, "l1": 1.5}


def batch(norm, count=6, size=4):
    generator = torch.Generator().manual_seed(3)
    images = (torch.rand(count, 3, size, size, generator=generator) * 255).round() / 255
    pixels = images + 0.3 * torch.randn(images.shape, generator=generator)
    gradient = torch.randn(images.shape, generator=generator)
    wanted = [EPS[norm] * (1 + place / 4) for place in range(count)]
    return images, pixels, gradient, radii(wanted, SHARES, images.device)


def lengths(norm, delta, eps):
    """Length in radii: at most 1 inside the ball."""
    return (delta.double() / column(eps.double())).flatten(1).norm(p=ORDER[norm], dim=1)


@pytest.fixture(params=NORMED)
def norm(request):
    return request.param


def test_equal_stds_are_one_radius_for_all_channels():
    assert shares_of((0.5, 0.5, 0.5)) is None
    assert radii([0.1, 0.2], None, torch.device("cpu")).shape == (2,)
    assert torch.allclose(radii([0.2], SHARES, torch.device("cpu")), torch.tensor([[0.1, 0.2, 0.16]]))


def test_equal_radii_are_the_ball_of_one_radius_to_the_bit(norm):
    images, pixels, gradient, eps = batch(norm)
    alike, one, ball = largest(eps)[:, None].repeat(1, 3), largest(eps), BALLS[norm]
    assert torch.equal(ball.project(pixels, images, alike), ball.project(pixels, images, one))
    assert torch.equal(ball.ascend(images, gradient, alike), ball.ascend(images, gradient, one))
    first, second = (RowNoise.of(0, ["a"] * len(images), "test") for _ in range(2))
    assert torch.equal(ball.sample(first, images, alike), ball.sample(second, images, one))


def test_a_projection_is_that_of_stretched_pixels(norm):
    images, pixels, _, eps = batch(norm)
    images, pixels = 0.5 + 0 * images, 0.5 + 0.05 * (pixels - images)  # [0, 1] is far
    eps = eps / 10
    found = BALLS[norm].project(pixels, images, eps)
    delta = stretched(pixels - images, eps)
    plain = BALLS[norm].project(0.5 + delta, 0.5 + 0 * images, largest(eps)) - 0.5
    assert torch.allclose(found - images, shrunk(plain, eps), rtol=0, atol=2e-7)
    assert lengths(norm, found - images, eps).max() == pytest.approx(1, abs=1e-4)


def test_a_projection_is_inside_ball_and_picture_and_a_second_one_changes_nothing(norm):
    images, pixels, _, eps = batch(norm)
    once = BALLS[norm].project(pixels, images, eps)
    assert 0 <= once.min() <= once.max() <= 1
    assert lengths(norm, once - images, eps).max() <= 1 + 1e-5
    assert (beyond(once, images, eps, BALLS[norm]) <= 0).all()
    assert torch.allclose(BALLS[norm].project(once, images, eps), once, rtol=0, atol=1e-6)


def test_a_point_outside_in_one_channel_alone_is_beyond(norm):
    images, _, _, eps = batch(norm)
    delta = torch.zeros_like(images)
    delta[:, 0, 0, 0] = 1.01 * eps[:, 0]  # less than the radius of the widest channel
    assert (beyond(images + delta, images, eps, BALLS[norm]) > 0).all()
    delta[:, 0, 0, 0] = 0.999 * eps[:, 0]
    assert (beyond(images + delta, images, eps, BALLS[norm]) <= 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_step_goes_where_a_linear_function_is_highest(norm):
    images, _, gradient, eps = batch(norm)
    step = (BALLS[norm].ascend(images, gradient, eps) - images).double()
    dual = {"linf": 1, "l2": 2}[norm]
    best = (gradient.double() * column(eps.double())).flatten(1).norm(p=dual, dim=1)
    assert torch.allclose((step * gradient).flatten(1).sum(1), best, rtol=1e-5)
    assert lengths(norm, step, eps).max() == pytest.approx(1, abs=1e-5)


def test_a_step_in_l1_is_the_highest_point_within_its_length_and_the_picture():
    images, _, gradient, eps = batch("l1", count=2, size=2)
    step = (BALLS["l1"].ascend(images, gradient, eps) - images).double().flatten(1)
    for row in range(2):
        slope = gradient[row].double().flatten()
        cost = (1 / column(eps.double()))[row].expand(3, 2, 2).flatten()
        room = torch.where(slope > 0, 1 - images[row].flatten().double(), images[row].flatten().double())
        bounds = [(0, float(most)) for most in room]
        solved = linprog(-slope.abs().numpy(), A_ub=cost[None].numpy(), b_ub=[1.0], bounds=bounds)
        assert float(slope @ step[row]) == pytest.approx(-solved.fun, rel=1e-5)


def test_a_draw_is_a_draw_from_the_usual_ball_with_its_channels_shrunk(norm):
    images, _, _, eps = batch(norm)
    first, second = (RowNoise.of(0, [str(row) for row in range(6)], "test") for _ in range(2))
    found = BALLS[norm].sample(first, images, eps)
    plain = BALLS[norm].sample(second, images, largest(eps))
    assert torch.allclose(found, shrunk(plain, eps), rtol=1e-5, atol=1e-8)
    assert lengths(norm, found, eps).max() <= 1 + 1e-5


def test_a_picture_is_inside_in_every_channel(norm):
    images, pixels, _, eps = batch(norm)
    saved = to_grid(BALLS[norm].project(pixels, images, eps), images, eps, BALLS[norm])
    assert torch.equal((saved * 255).round() / 255, saved)
    assert (saved != images).flatten(1).any(1).all()
    assert lengths(norm, saved - images, eps).max() <= 1 + 1e-4
