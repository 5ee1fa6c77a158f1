"""What of a perturbation survives in an eight-bit picture."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from advcli.core.grid import LEVELS, SLACK, beyond, snapped, to_grid
from advcli.core.norms import BALLS

NORMS = sorted(BALLS)


def grid_images(seed, count=4, size=4):
    levels = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(seed))
    return levels.float() / LEVELS


def attacked(seed, norm, eps, reach=3.0):
    """Make images on the grid, and pixels near the edge of the ball round each."""
    images = grid_images(seed)
    far = images + reach * eps.view(-1, 1, 1, 1) * torch.randn(
        images.shape, generator=torch.Generator().manual_seed(seed + 1)
    )
    return images, BALLS[norm].project(far, images, eps)


def as_read_back(pixels):
    """Store pixels as a PNG does, and read them as a PNG is read."""
    return (pixels * 255).round().to(torch.uint8).float() / 255


@given(st.integers(0, 2**31), st.sampled_from(NORMS), st.floats(1e-4, 2))
def test_what_is_saved_is_on_the_grid_and_in_the_ball(seed, norm, radius):
    eps = torch.full((4,), radius)
    images, pixels = attacked(seed, norm, eps)
    saved = to_grid(pixels, images, eps, BALLS[norm])
    assert torch.equal(as_read_back(saved), saved)
    assert 0 <= saved.min() <= saved.max() <= 1
    assert (beyond(saved, images, eps, BALLS[norm]) <= 0).all()


@given(st.integers(0, 2**31), st.floats(1e-4, 2))
def test_no_pixel_moves_a_level_or_more(seed, radius):
    norm = "linf"
    eps = torch.full((4,), radius)
    images, pixels = attacked(seed, norm, eps)
    saved = to_grid(pixels, images, eps, BALLS[norm])
    assert ((saved - pixels).abs() < (1 + 1e-3) / LEVELS).all()
    assert torch.equal(to_grid(saved, images, eps, BALLS[norm]), saved)


@pytest.mark.parametrize("levels", [1, 2, 8, 16, 100])
def test_an_eps_of_whole_levels_is_used_in_full(levels):
    images = torch.arange(256).float().repeat(3)[: 3 * 256].view(1, 3, 16, 16) / 255
    eps = torch.tensor([levels / 255])
    for sign in (-1, 1):
        pixels = BALLS["linf"].project(images + sign * eps, images, eps)
        saved = to_grid(pixels, images, eps, BALLS["linf"])
        expected = ((images * 255).round() + sign * levels).clamp(0, 255)
        assert torch.equal((saved * 255).round(), expected)
    slowly = images.clone()
    for _ in range(2 * levels):  # half a level at a time, rounding errors and all
        slowly = BALLS["linf"].project(slowly + 0.5 / 255, images, eps)
    saved = to_grid(slowly, images, eps, BALLS["linf"])
    assert torch.equal((saved * 255).round(), ((images * 255).round() + levels).clamp(0, 255))


def test_rows_that_moved_by_whole_levels_are_put_onto_the_grid_and_others_stay_as_they_are():
    images = grid_images(0, count=3, size=16)
    sums = (images + 8 / 255 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1)).sign()).clamp(0, 1)
    assert not torch.equal(as_read_back(sums), sums)  # what float32 makes of the sums
    sums[1, 0, 3, 4] += 1e-4 if sums[1, 0, 3, 4] < 0.5 else -1e-4
    found = snapped(sums)
    assert torch.equal(found[1], sums[1])
    for row in (0, 2):
        assert torch.equal(as_read_back(found[row]), found[row])
        assert torch.allclose(found[row], sums[row], rtol=0, atol=SLACK)


def test_an_eps_between_levels_rounds_toward_the_image():
    images = torch.full((1, 3, 4, 4), 100 / 255)
    eps = torch.tensor([8.7 / 255])
    pixels = images + eps
    assert torch.equal((to_grid(pixels, images, eps, BALLS["linf"]) * 255).round(), torch.full_like(images, 108))
    assert torch.equal((to_grid(pixels, images, eps, None) * 255).round(), torch.full_like(images, 109))


def test_a_whole_level_is_a_whole_level_however_it_was_added_up():
    images = torch.arange(192).float().view(1, 3, 8, 8) / 255
    pixels = images.clone()
    for _ in range(10):  # three levels, some of which float32 misses by a bit
        pixels = pixels + 0.3 / 255
    pixels[0, 0, 0, 0] += 5.7 / 255  # and here the row must be rounded inward
    eps = torch.tensor([8.7 / 255])
    moved = (to_grid(pixels, images, eps, BALLS["linf"]) * 255).round() - (images * 255).round()
    assert moved[0, 0, 0, 0] == 8
    assert (moved.flatten()[1:] == 3).all()


def test_a_level_just_beyond_the_ball_is_beyond_it():
    images = torch.full((1, 3, 4, 4), 100 / 255)
    eps = torch.tensor([8 / 255 - 5e-6])
    assert torch.equal((to_grid(images + eps, images, eps, BALLS["linf"]) * 255).round(), torch.full_like(images, 107))


def test_an_image_is_its_own_picture():
    images = grid_images(0)
    for ball in (*BALLS.values(), None):
        assert torch.equal(to_grid(images, images, torch.zeros(4), ball), images)


def test_only_the_row_that_would_leave_its_ball_is_rounded_inward():
    images = torch.full((2, 3, 4, 4), 100 / 255)
    pixels = images + 0.6 / 255
    eps = torch.tensor([0.6 / 255, 1 / 255])
    saved = to_grid(pixels, images, eps, BALLS["linf"])
    assert (saved * 255).round()[:, 0, 0, 0].tolist() == [100, 101]


def test_forgiving_rounding_errors_does_not_leave_an_l2_ball():
    images = torch.zeros(1, 3, 64, 64)
    pixels = images + (1 - 5e-5) / 255  # each a hair below a level, and the row just inside its ball
    eps = BALLS["l2"].size(pixels - images)
    saved = to_grid(pixels, images, eps, BALLS["l2"])
    assert BALLS["l2"].size(saved - images) <= eps + SLACK


@pytest.mark.parametrize(("norm", "radius"), [("l2", 0.5), ("l2", 0.1), ("l1", 12.0), ("l1", 2.0)])
def test_rounding_in_a_ball_keeps_most_of_a_perturbation(norm, radius):
    images = 0.5 + 0 * grid_images(0, count=16, size=32)
    images = (images * 255).round() / 255
    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    eps = torch.full((16,), radius)
    delta = direction / BALLS[norm].size(direction).view(-1, 1, 1, 1) * radius
    saved = to_grid(images + delta, images, eps, BALLS[norm])
    assert (beyond(saved, images, eps, BALLS[norm]) <= 0).all()
    along = ((saved - images) * delta).double().flatten(1).sum(1) / delta.double().square().flatten(1).sum(1)
    inward = ((delta * 255).trunc() / 255 * delta).double().flatten(1).sum(1) / delta.double().square().flatten(1).sum(
        1
    )
    assert (along > inward).all()
    assert radius not in (0.5, 12.0) or (along > 0.9).all()  # where half a level in each value is not all of it


def test_rounding_changes_no_more_values():
    images = grid_images(3, count=8)
    pixels = BALLS["l0"].project(1 - images, images, torch.full((8,), 5.0))
    saved = to_grid(pixels, images, torch.full((8,), 5.0), BALLS["l0"])
    assert torch.equal((saved * 255).round(), (pixels * 255).round())
    assert ((saved != images).flatten(1).sum(1) <= 5).all()
