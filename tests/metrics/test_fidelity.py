"""SSIM and PSNR of pictures, held to scikit-image."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from advcli.metrics.fidelity import psnr, ssim


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 7, 9), (3, 40, 23), (1, 8, 8)])
@pytest.mark.parametrize("noise", [0.001, 0.1])
def test_both_are_those_of_scikit_image(shape, noise):
    draw = np.random.default_rng(0)
    first = draw.random(shape, dtype=np.float32)
    second = np.clip(first + noise * draw.standard_normal(shape, dtype=np.float32), 0, 1)
    exact = [one.astype(np.float64) for one in (first, second)]
    (alike,), (ratio,) = ssim(first[None], second[None]), psnr(first[None], second[None])
    assert alike == pytest.approx(structural_similarity(*exact, channel_axis=0, data_range=1), abs=1e-12)
    assert ratio == pytest.approx(peak_signal_noise_ratio(*exact, data_range=1), rel=1e-12)


def test_equal_pictures_are_alike_and_have_no_noise():
    picture = np.random.default_rng(1).random((2, 3, 9, 9), dtype=np.float32)
    assert ssim(picture, picture.copy()) == [1.0, 1.0]
    assert psnr(picture, picture.copy()) == [None, None]


def test_a_pair_does_not_depend_on_the_others():
    draw = np.random.default_rng(2)
    first, second = draw.random((2, 70, 3, 11, 9), dtype=np.float32)
    for measure in (ssim, psnr):
        together = measure(first, second)
        assert together == [measure(first[[row]], second[[row]])[0] for row in range(70)]


@pytest.mark.parametrize("shape", [(3, 6, 40), (3, 1, 1)])
def test_a_picture_smaller_than_the_window_has_no_ssim(shape):
    assert ssim(np.zeros((1, *shape), np.float32), np.ones((1, *shape), np.float32)) == [None]
    assert psnr(np.zeros((1, *shape), np.float32), np.ones((1, *shape), np.float32)) == [0.0]
