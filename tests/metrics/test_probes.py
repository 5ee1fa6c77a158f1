"""Probes: small, the same in every batch, and each what it says."""

from typing import get_args

import pytest
import torch

from advcli.core.choices import Probe
from advcli.core.randomness import RowNoise
from advcli.metrics.probes import probed, through_probe

PIXELS = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def changed(probe, rows=slice(None)):
    digests = ["a" * 64, "b" * 64, "c" * 64][rows]
    return probed(PIXELS[rows], probe, RowNoise.of(0, digests, "probe"))


@pytest.mark.parametrize("probe", get_args(Probe))
def test_a_probe_is_a_change_that_does_not_depend_on_the_batch(probe):
    found = changed(probe)
    assert found.shape == PIXELS.shape
    assert 0 <= found.min() <= found.max() <= 1
    assert not torch.equal(found, PIXELS)
    assert torch.equal(found[1:2], changed(probe, slice(1, 2)))


def test_bit_depth_leaves_sixteen_levels_and_blur_the_mean():
    assert torch.equal((changed("bit-depth") * 15).round() / 15, changed("bit-depth"))
    assert changed("blur").mean() == pytest.approx(float(PIXELS.mean()), abs=1e-4)
    assert changed("blur").std() < PIXELS.std() / 2
    assert (changed("noise") - PIXELS).std() == pytest.approx(4 / 255, rel=0.1)


def test_a_gradient_goes_back_through_a_blur_as_its_transpose():
    draw = torch.Generator().manual_seed(1)
    pixels, cotangent = (torch.rand(1, 3, 9, 7, generator=draw) for _ in range(2))
    noise = RowNoise.of(0, ["0"], "probe")
    there = float((probed(pixels, "blur", noise) * cotangent).sum())
    assert float((pixels * through_probe(cotangent, "blur")).sum()) == pytest.approx(there, rel=1e-6)
    assert through_probe(cotangent, "jpeg") is cotangent
