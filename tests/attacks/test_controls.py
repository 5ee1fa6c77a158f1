"""The controls: noise, compression, blur and brightness do what they say, from the weakest on."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from advcli.attacks.blur import Blur, smoothed
from advcli.attacks.brightness import Brightness
from advcli.attacks.jpeg import Jpeg, compressed
from advcli.attacks.uniform_noise import UniformNoise


class Silent:
    """A model that an attack without gradients and queries never asks."""

    def vjp(self, cotangent, where=None):
        raise AssertionError

    def query(self, pixels, where=None):
        raise AssertionError


def shown(attack, rows, age=0):
    """What the attack looks at after a step at an age."""
    rows = rows.replace(age=torch.full_like(rows.age, age))
    attack.step(rows, torch.zeros(len(rows), 2), Silent())
    return rows.adversarial


def test_uniform_noise_is_uniform_in_the_ball(make_rows):
    images, label = torch.full((33, 3, 8, 8), 0.5), torch.zeros(33, dtype=torch.int64)
    delta = shown(UniformNoise(), make_rows(images, label, eps=0.1)) - images
    assert stats.kstest((delta.double().flatten() / 0.2 + 0.5).numpy(), "uniform").pvalue > 0.01
    for norm, order in (("l2", 2), ("l1", 1)):
        delta = shown(UniformNoise(norm=norm), make_rows(images, label, eps=1.0)) - images
        sizes = delta.flatten(1).norm(p=order, dim=1)
        assert ((sizes > 0.8) & (sizes <= 1 + 1e-5)).all()  # of 192 dimensions, almost all of the ball is at its edge


def test_jpeg_is_pillows_at_falling_quality(trained, make_rows):
    rows = make_rows(trained.images[:3], trained.labels[:3])
    for age, quality in ((0, 95), (1, 85), (9, 5)):
        pixels = shown(Jpeg(), rows, age)
        for one, image in zip(pixels, trained.images, strict=False):
            file = io.BytesIO()
            levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(levels).save(file, "JPEG", quality=quality)
            expected = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
            assert torch.equal((one * 255).round().byte(), expected)
    assert torch.equal(shown(Jpeg(steps=1), rows), compressed(trained.images[:3], [5, 5, 5]))


def test_a_blur_keeps_the_mean_and_a_flat_picture_and_widens_a_point(make_rows):
    point = torch.zeros(1, 3, 33, 33)
    point[..., 16, 16] = 1.0
    flat = torch.full((1, 3, 33, 33), 0.25)
    rows = make_rows(torch.cat([point, flat]), torch.zeros(2, dtype=torch.int64))
    for age in (4, 9):
        spread, even = shown(Blur(sigma=4.0, steps=20), rows, age)
        sigma = 4.0 * (age + 1) / 20
        assert torch.allclose(even, flat[0], atol=1e-6)
        weights = spread.double().sum((0, 1)) / spread.double().sum()
        assert float(spread.sum()) == pytest.approx(3.0, rel=1e-4)
        places = torch.arange(33.0, dtype=torch.float64) - 16
        assert float((weights * places.square()).sum().sqrt()) == pytest.approx(sigma, rel=0.01)
    assert torch.equal(smoothed(flat, [1.0]), smoothed(flat, [1.0]))


def test_brightness_goes_up_and_down_by_growing_numbers(make_rows):
    images = torch.full((2, 3, 4, 4), 0.5)
    rows = make_rows(images, torch.zeros(2, dtype=torch.int64))
    attack = Brightness(change=0.4, steps=8)
    for age, change in enumerate((0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.4, -0.4)):
        assert torch.allclose(shown(attack, rows, age), images + change)


def test_brightness_finds_the_smallest_change_that_crosses_a_boundary(half_space, run_attack):
    problem = half_space(17)
    attack = Brightness(change=0.5, steps=200)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, None, 0.0)
    sizes = 0.5 * torch.arange(1, 101) / 100
    for row in range(17):
        both = torch.cat([(problem.images[row] + sign * sizes.view(-1, 1, 1, 1)).clamp(0, 1) for sign in (1, -1)])
        crossed = (problem.logits(both).argmax(1) != problem.label[row]).view(2, 100).any(0)
        if not crossed.any():
            assert found.rank[row] == 0
        elif found.verification_passes[row] <= 1:  # else rounding undid the first success
            assert float(found.distance[row]) <= float(sizes[crossed.nonzero()[0, 0]]) + 1e-5


@pytest.mark.parametrize("attack", [Jpeg(), Blur(), Brightness()], ids=["jpeg", "blur", "brightness"])
def test_a_control_begins_at_the_image_each_time(trained, make_rows, attack):
    rows = make_rows(trained.images[:2], trained.labels[:2])
    first = shown(attack, rows, 3)
    assert torch.equal(first, shown(attack, rows.replace(adversarial=torch.zeros_like(first)), 3))
