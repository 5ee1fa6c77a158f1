"""Augmentation: each changed image is one of those that it may become."""

import numpy as np
import pytest
import torch

from advcli.errors import UsageError
from advcli.training.augmentation import crop, cutout, flip, parse_augment, rotate


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def distinct(images):
    return {image.contiguous().numpy().tobytes() for image in images}


@pytest.fixture
def image():
    return torch.arange(1, 1 + 3 * 8 * 8, dtype=torch.uint8).view(1, 3, 8, 8)


def test_flips_are_the_image_or_its_mirror(image):
    assert distinct(flip(image.expand(50, 3, 8, 8), generator())) == distinct([image[0], image[0].flip(2)])


def test_crops_are_windows_of_the_padded_image(image):
    padded = torch.nn.functional.pad(image[0], (4, 4, 4, 4))
    windows = [padded[:, down : down + 8, right : right + 8] for down in range(9) for right in range(9)]
    drawn = distinct(crop(image.expand(1000, 3, 8, 8), generator()))
    assert drawn <= distinct(windows)
    assert len(drawn) > 75


def test_a_small_angle_is_the_image_and_a_right_angle_is_numpys():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (4, 3, 9, 9), dtype=np.uint8))
    assert torch.equal(rotate(images, generator(), degrees=1e-4), images)
    square = torch.zeros(64, 3, 9, 9, dtype=torch.uint8)
    square[:, :, 1, 4] = 255  # above the center; anywhere on a circle about it afterwards
    turned = rotate(square, generator(), degrees=180).float().sum(1)
    down, right = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    mass = turned.sum((1, 2))
    radius = ((turned * down).sum((1, 2)) / mass).hypot((turned * right).sum((1, 2)) / mass)
    assert (radius - 3).abs().max() < 0.25


def test_a_rectangle_is_turned_without_shear():
    wide = torch.zeros(32, 3, 9, 17, dtype=torch.uint8)
    wide[:, :, 1, 8] = 255
    turned = rotate(wide, generator(), degrees=180).float().sum(1)
    down, right = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(17.0) - 8, indexing="ij")
    mass = turned.sum((1, 2))
    radius = ((turned * down).sum((1, 2)) / mass).hypot((turned * right).sum((1, 2)) / mass)
    assert (radius - 3).abs().max() < 0.25


def test_cutout_covers_a_square_of_at_most_its_side():
    covered = cutout(torch.zeros(200, 3, 16, 16, dtype=torch.uint8), generator(), side=6)
    assert set(covered.unique().tolist()) == {0, 128}
    counts = (covered[:, 0] > 0).sum((1, 2))
    assert counts.max() == 36
    assert counts.min() >= 9
    assert torch.equal(covered[:, 0], covered[:, 2])


@pytest.mark.parametrize("change", [flip, crop, rotate, cutout])
def test_the_generator_decides_and_the_input_stays(change):
    images = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8, generator=generator())
    before = images.clone()
    first, again, other = (change(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert (first.dtype, first.shape) == (images.dtype, images.shape)


def test_words_are_read_in_order():
    steps = parse_augment(["crop=2", "flip", "rotate=5"])
    assert [getattr(step, "keywords", {}) for step in steps] == [{"margin": 2}, {}, {"degrees": 5.0}]


@pytest.mark.parametrize("word", ["", "blur", "flip=2", "crop=0", "crop=1.5", "rotate=x", "cutout=-4"])
def test_words_without_meaning_are_refused(word):
    with pytest.raises(UsageError, match="--augment"):
        parse_augment([word])
