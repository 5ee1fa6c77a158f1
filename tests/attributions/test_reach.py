"""Occlusion that computes only what a window can reach, against whole passes."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from advcli.attributions import _reach
from advcli.attributions import occlusion as occlusion_module
from advcli.attributions._noise import SampleNoise
from advcli.core.scores import Target
from advcli.models.view import View

SIZE = (72, 81)


class Residual(nn.Module):
    """A block with a shortcut of stride 2, a ReLU in place and one that is a function."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.second = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.shortcut = nn.Conv2d(8, 8, 1, stride=2)

    def forward(self, values):
        found = self.second(self.first(values))
        found += self.shortcut(values)
        return torch.nn.functional.relu(found)


def network(*more):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stem = [nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        return nn.Sequential(*stem, Residual(), *more, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)).eval()


@pytest.fixture
def pixels():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def occlusion(classifier, pixels, **settings):
    noise = SampleNoise.of(0, [str(place) for place in range(len(pixels))], "reach")
    target = Target(torch.zeros(len(pixels), dtype=torch.int64))
    return occlusion_module.occlusion(View(classifier, pixels), target, noise=noise, **settings)


def places_of(side, step, windows):
    down, across = (occlusion_module._spans(length, side, step, windows) for length in SIZE)
    return torch.tensor([(*rows, *columns) for rows in down for columns in across])


@pytest.mark.parametrize("windows", ["equal", "captum"])
@pytest.mark.parametrize(("side", "step"), [(10, 7), (1, 1), (40, 31), (72, 72)])
@pytest.mark.parametrize("block", [1, 16])
def test_what_a_window_can_reach_gives_the_logits_of_whole_passes(make_classifier, pixels, side, step, windows, block):
    classifier = make_classifier(network(), SIZE, block=block)
    places = places_of(side, step, windows)[:: 97 if side == 1 else 1]
    traced = _reach.reachable(classifier, places)
    cover = torch.full_like(pixels[:1], 0.5)
    found = torch.cat([logits for _, logits in _reach.looks(classifier, traced, pixels[:1], cover, places)])
    covered = pixels[:1].repeat(len(places), 1, 1, 1)
    for one, (top, bottom, left, right) in zip(covered, places.tolist(), strict=True):
        one[:, top:bottom, left:right] = 0.5
    expected = classifier.logits(covered)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    assert len(found) == len(places)


def test_it_takes_less_than_whole_passes_and_gives_the_same_map(make_classifier, pixels, monkeypatch):
    classifier = make_classifier(network(), SIZE)
    with FlopCounterMode(display=False) as fast:
        found = occlusion(classifier, pixels, patch=12, stride=10)
    assert torch.equal(occlusion(classifier, pixels[:1], patch=12, stride=10), found[:1])
    monkeypatch.setattr(_reach, "_LARGE", SIZE[0] * SIZE[1])
    with FlopCounterMode(display=False) as whole:
        expected = occlusion(classifier, pixels, patch=12, stride=10)
    assert fast.get_total_flops() < 0.5 * whole.get_total_flops()
    assert (found - expected).abs().max() <= 1e-5 * classifier.logits(pixels).abs().max()


class Choosing(nn.Module):
    """A layer that cannot be traced: what it does depends on what it sees."""

    def forward(self, values):
        return values if values.sum() > 0 else -values


def test_a_network_that_cannot_be_traced_and_low_precision_take_whole_passes(make_classifier, pixels):
    places = places_of(10, 7, "equal")
    assert _reach.reachable(make_classifier(network(Choosing()), SIZE), places) is None
    assert _reach.reachable(make_classifier(network(), SIZE, precision="bf16"), places) is None
    assert occlusion(make_classifier(network(Choosing()), SIZE), pixels[:1], patch=24).isfinite().all()


def test_a_layer_without_a_rule_is_computed_whole(make_classifier, pixels):
    gated = make_classifier(network(nn.LeakyReLU(0.1), nn.AvgPool2d(2, ceil_mode=True), nn.InstanceNorm2d(8)), SIZE)
    assert _reach.reachable(gated, places_of(10, 7, "equal")) is not None
