"""The expectation over a network's randomness: means of passes, their gradient, and what judges."""

import copy

import pytest
import torch
from torch import nn

from advcli.attacks.autoattack import Autoattack
from advcli.errors import UsageError


class Shaken(nn.Module):
    """A network whose input is shaken anew in every pass."""

    def __init__(self, network, noise):
        super().__init__()
        self.network, self.noise = network, noise

    def forward(self, pixels):
        return self.network(pixels + self.noise * torch.randn_like(pixels))


@pytest.fixture(scope="module")
def shaken(trained, wrap):
    return wrap(Shaken(copy.deepcopy(trained.network), 0.1), 5, 16)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_a_look_is_the_mean_of_passes_and_its_gradient_the_mean_of_theirs(trained, shaken):
    pixels, cotangent = trained.images[:16], torch.randn(16, 5)
    torch.manual_seed(3)
    looks = [shaken.look(pixels) for _ in range(4)]
    torch.manual_seed(3)
    mean = shaken.expected(4).look(pixels)
    assert torch.allclose(mean.logits, torch.stack([look.logits for look in looks]).mean(0), atol=1e-5)
    gradient = torch.stack([look.vjp(cotangent) for look in looks]).mean(0)
    assert torch.allclose(mean.vjp(cotangent), gradient, atol=1e-5)


def test_what_judges_is_the_mean_of_the_probabilities(trained, shaken):
    pixels = trained.images[:16]
    torch.manual_seed(5)
    passes = [shaken.logits(pixels).softmax(1) for _ in range(4)]
    torch.manual_seed(5)
    judged = shaken.expected(4).logits(pixels).exp()
    assert torch.allclose(judged, torch.stack(passes).mean(0), atol=1e-5)


def test_the_expectation_of_a_network_without_randomness_is_the_network(trained):
    pixels = trained.images[:16]
    plain, expected = trained.classifier, trained.classifier.expected(3)
    assert torch.allclose(expected.logits(pixels).softmax(1), plain.logits(pixels).softmax(1), atol=1e-6)
    assert torch.allclose(expected.look(pixels).logits, plain.look(pixels).logits, atol=1e-5)
    assert plain.samples == 1


def test_what_counts_is_misclassified_in_most_passes_and_not_in_a_lucky_one(trained, shaken, run_attack):
    """A success that is judged once, by the pass that found it, is often a lucky pass."""
    attack = Autoattack(version="rand", steps=10, samples=8)
    images, labels = trained.images[:12], trained.labels[:12]
    found = run_attack(attack, shaken.expected(8), images, labels, None, 0.06)
    assert (found.rank == 2).sum() > 0
    fresh = torch.stack([shaken.logits(found.saved).argmax(1) != labels for _ in range(40)]).double().mean(0)
    assert (fresh[found.rank == 2] > 0.35).all()
    assert fresh[found.rank == 2].mean() > 0.6


def test_settings_that_a_version_has_no_use_for_are_refused():
    with pytest.raises(UsageError, match="samples=5 is for version=rand"):
        Autoattack(samples=5)
    with pytest.raises(UsageError, match="queries=5 is for square"):
        Autoattack(version="rand", queries=5)
    assert Autoattack().expectation == 1
    assert Autoattack(version="rand", samples=7).expectation == 7
    assert [member.name for member in Autoattack(version="rand").members(10)] == ["apgd-ce", "apgd-dlr"]
