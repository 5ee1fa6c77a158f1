"""Balls: sizes, projections, steepest directions and uniform draws against their definitions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from advcli.core.grid import beyond
from advcli.core.norms import BALLS, check_eps, default_eps
from advcli.core.quantities import quantity
from advcli.errors import UsageError

NORMS = sorted(BALLS)
NORMED = ["linf", "l2", "l1"]  # l0 is no norm: it has no length of a step
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1}
DUAL = {"linf": 1, "l2": 2, "l1": float("inf")}


def batch(seed, count=6, size=4):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, size, size, generator=generator)
    eps = torch.rand(count, generator=generator) * 5
    return images, images + 2 * torch.randn(images.shape, generator=generator), eps


@pytest.fixture(params=NORMED)
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
    assert (beyond(once, images, eps, BALLS[norm]) <= 0).all()
    assert torch.allclose(BALLS[norm].project(once, images, eps), once, rtol=0, atol=1e-6)


def test_what_is_inside_stays(norm):
    images, pixels, eps = batch(1)
    images = 0.4 + 0.2 * images
    eps = eps / 5 * 2
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
    elif norm == "l1":
        size = (pixels - images).abs()
        multiplier = torch.stack([shrinkage(row, half) for row, half in zip(size, eps, strict=True)])
        expected = images + (pixels - images).sign() * (size - multiplier.view(-1, 1, 1, 1)).clamp(min=0)
    else:
        radius = eps.view(-1, 1, 1, 1)
        expected = images + (pixels - images).clamp(-radius, radius)
    assert torch.allclose(found, expected, atol=1e-6)


def shrinkage(size, eps):
    """The m for which sum max(size - m, 0) is eps, by bisection."""
    low, high = 0.0, float(size.max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (size.double() - middle).clamp(min=0).sum() > eps else (low, middle)
    return torch.tensor(middle)


@given(st.integers(0, 2**31), st.floats(0.01, 30))
def test_a_projection_in_l1_is_the_nearest_point_of_ball_and_range(seed, radius):
    images, pixels, _ = batch(seed, count=3)
    images = (images * 1.4 - 0.2).clamp(0, 1)  # some values at 0 and 1
    eps = torch.full((3,), radius)
    found = BALLS["l1"].project(pixels, images, eps).double().flatten(1)
    center, point = images.double().flatten(1), pixels.double().flatten(1)
    # For a convex set the nearest point p is where no other point x of the set has <x - p, pixels - p> > 0. The
    # largest such product over the set is a linear function's: the steepest values go to their ends until eps is used.
    toward = point - found
    room = torch.where(toward > 0, 1 - center, center)
    order = toward.abs().argsort(dim=1, descending=True)
    room, slope = room.gather(1, order), toward.abs().gather(1, order)
    taken = torch.minimum((eps.double()[:, None] - (room.cumsum(1) - room)).clamp(min=0), room)
    largest = (taken * slope).sum(1) - ((found - center) * toward).sum(1)
    assert (largest <= 1e-5 * (1 + toward.abs().sum(1))).all()


def test_a_projection_in_l0_keeps_the_largest_changes():
    images = torch.full((2, 3, 2, 2), 0.5)
    change = torch.tensor([0.4, -0.9, 0.1, 0.0, 0.2, -0.3, 0.05, 0.01, -0.02, 0.15, 0.25, -0.35]).view(1, 3, 2, 2)
    found = BALLS["l0"].project(images + change, images, torch.tensor([3.0, 0.0])) - images
    assert found[0].flatten().nonzero()[:, 0].tolist() == [0, 1, 11]
    assert found[0].flatten()[1] == -0.5  # at the end of the range
    assert not found[1].any()
    assert BALLS["l0"].size(found).tolist() == [3.0, 0.0]
    assert BALLS["l0"].size(torch.full((1, 3, 2, 2), 0.4 / 255)).tolist() == [0.0]  # no picture can hold it
    assert BALLS["l0"].size(torch.full((1, 3, 2, 2), 0.6 / 255)).tolist() == [12.0]


@pytest.mark.parametrize("norm", ["l1", "l0"])
def test_an_ascent_takes_the_values_that_count_most_to_their_ends(norm):
    pixels = torch.tensor([0.2, 0.9, 0.5, 0.5] * 3).view(1, 3, 2, 2)
    gradient = torch.zeros(1, 3, 2, 2)
    gradient[0, 0, 0, 0], gradient[0, 0, 0, 1], gradient[0, 1, 1, 0] = -5.0, 3.0, 1.0
    length = torch.tensor([0.45 if norm == "l1" else 2.0])
    moved = BALLS[norm].ascend(pixels, gradient, length) - pixels
    expected = torch.zeros(12)
    expected[0] = -0.2
    if norm == "l1":
        expected[1], expected[6] = 0.1, 0.15  # 0.2 and 0.1 is all there is, and the rest goes to the next
    else:
        expected[6] = 0.5  # 5 * 0.2, 3 * 0.1, 1 * 0.5: the two that gain most
    assert torch.allclose(moved.flatten(), expected, atol=1e-6)


def test_a_ball_without_radius_is_its_center(norm):
    images, pixels, eps = batch(3)
    assert torch.equal(BALLS[norm].project(pixels, images, eps * 0), images)
    assert torch.equal(BALLS[norm].project(images, images, eps * 0), images)


def test_no_direction_of_length_one_rises_more_than_the_steepest(norm):
    _, gradient, _ = batch(4)
    steepest = BALLS[norm].steepest(gradient)
    assert torch.allclose(BALLS[norm].size(steepest), torch.ones(len(gradient)))
    rise = (steepest * gradient).double().flatten(1).sum(1)
    assert torch.allclose(rise, gradient.double().flatten(1).norm(p=DUAL[norm], dim=1), rtol=1e-6)


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
    # E[x_i^2] in the unit ball: 1/3, 1/(d + 2), 2/((d + 1)(d + 2))
    expected = {"linf": 1 / 3, "l2": 1 / 14, "l1": 2 / (13 * 14)}[norm]
    assert torch.allclose(spread, torch.full((12,), expected), rtol=0.15)


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


def test_draws_in_l0_change_as_many_values_as_they_may(make_rows):
    images = torch.full((500, 3, 2, 2), 0.5)
    eps = (torch.arange(500) % 13).float()
    rows = make_rows(images, torch.zeros(500, dtype=torch.int64), eps=eps)
    delta = BALLS["l0"].sample(rows.noise, images, eps)
    assert ((delta != 0).flatten(1).sum(1) <= eps).all()
    assert ((delta != 0).flatten(1).sum(1) == eps).float().mean() > 0.99
    assert delta.abs().max() <= 1


@pytest.mark.parametrize(
    ("norm", "size", "text"),
    [
        ("linf", (32, 32), "8/255"), ("linf", (224, 224), "8/255"), ("l2", (32, 32), "0.5"), ("l2", (224, 224), "3.5"),
        ("l1", (32, 32), "12"), ("l1", (224, 224), "588"), ("l0", (32, 32), "31"), ("l0", (8, 8), "2"),
    ],
)  # fmt: skip
def test_every_norm_has_a_default_eps(norm, size, text):
    eps = default_eps(norm, size)
    assert eps.text == text
    assert eps.value == quantity(text, "--eps").value
    check_eps(norm, eps, size)


@pytest.mark.parametrize(
    ("norm", "text", "hint"),
    [
        ("linf", "8", "did you mean 8/255?"), ("linf", "0.5/0.1", "did you mean"),
        ("linf", "1000", "did you mean 8/255?"),
        ("l2", "56", "did you mean 0.5?"), ("l1", "3073", "did you mean 12?"), ("l0", "0.5", "number of values"),
        ("l0", "3073", "did you mean 31?"),
    ],
)  # fmt: skip
def test_an_eps_that_no_picture_can_use_is_refused(norm, text, hint):
    with pytest.raises(UsageError) as caught:
        check_eps(norm, quantity(text, "--eps"), (32, 32))
    assert hint in caught.value.hint
    assert text in caught.value.message


@pytest.mark.parametrize(
    ("norm", "text"), [("linf", "1"), ("linf", "255/255"), ("l2", "55"), ("l1", "3072"), ("l0", "1")]
)
def test_the_largest_eps_is_all_of_the_picture(norm, text):
    check_eps(norm, quantity(text, "--eps"), (32, 32))
