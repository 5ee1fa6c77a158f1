"""Photographs in their own size: what is claimed is what the model's reader sees of the saved picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from advcli.images.reading import fit
from advcli.models.card import Preprocessing
from advcli.runs.keeping import Shrinking, keeping_size

SIZES = [(40, 64), (64, 40), (23, 17), (16, 90), (9, 12), (1, 1)]


def photographs(size, count=3):
    pixels = torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))
    return (pixels * 255).round() / 255


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["nearest", "bilinear", "bicubic"])
def test_the_differentiable_step_is_the_readers_to_a_level(size, kind):
    step = Shrinking(Preprocessing((16, 16), 18, kind), size)
    pixels = photographs(size)
    read, made = step.read(pixels), step(pixels)
    assert made.shape == read.shape == (3, 3, 16, 16)
    # Pillow rounds and cuts to eight bits between rows and columns, which tells in the overshoot of bicubic ones.
    assert (255 * (made - read)).abs().max() <= {"nearest": 0.01, "bilinear": 1.01, "bicubic": 20}[kind]
    assert (255 * (made - read)).abs().mean() < 0.4


def test_the_reader_is_the_one_of_every_run():
    how = Preprocessing((16, 16), 20)
    pixels = photographs((33, 47), 1)
    picture = Image.fromarray((255 * pixels[0]).round().byte().permute(1, 2, 0).numpy())
    expected = torch.from_numpy(fit(picture, how.size, how.resize, how.interpolation)) / 255
    assert torch.equal(Shrinking(how, (33, 47)).read(pixels)[0], expected)


def test_gradients_reach_the_crop_and_nothing_else():
    pixels = photographs((32, 64), 1).requires_grad_()
    step = Shrinking(Preprocessing((16, 16), 16), (32, 64))
    weights = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) + 0.5
    (gradient,) = torch.autograd.grad((step(pixels) * weights).sum(), pixels)
    touched = gradient[0].abs().sum((0, 1)) > 0
    assert touched[16:48].all()
    assert not touched[:14].any()
    assert not touched[50:].any()


def test_a_classifier_of_whole_photographs_says_what_it_says_of_what_the_reader_makes_of_them(trained):
    classifier = trained.classifier
    kept = keeping_size(classifier, (40, 28))
    pixels = photographs((40, 28), 5)
    read = Shrinking(classifier.card.preprocessing, (40, 28)).read(pixels)
    assert torch.allclose(kept.logits(pixels), classifier.logits(read), atol=1e-4)
    look = kept.look(pixels)
    assert look.vjp(torch.eye(5)).shape == pixels.shape
    assert (look.logits - kept.logits(pixels)).abs().max() < 0.2 * kept.logits(pixels).abs().max()
    assert keeping_size(classifier, (16, 16)) is classifier
    assert classifier.card.preprocessing.size == (16, 16)
    assert np.isfinite(kept.certainty)
