"""Signs of a weak attack: each is seen on a network or an attack that has the fault, and on none that has not."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from advcli.attacks.autoattack import Autoattack
from advcli.attacks.pgd import Pgd
from advcli.core.attack import Traits
from advcli.search import diagnosis
from advcli.search.diagnosis import diagnose
from advcli.search.flow import flow
from advcli.search.plans import AttackPlan, Problem, attack_job


class Obfuscated(nn.Module):
    """A network behind steps that hide its gradients: levels of the input, large logits, noise."""

    def __init__(self, network, levels=None, scale=1.0, noise=0.0):
        super().__init__()
        self.network, self.levels, self.scale, self.noise = network, levels, scale, noise

    def forward(self, pixels):
        if self.levels:
            pixels = (pixels * self.levels).round() / self.levels
        if self.noise:
            pixels = pixels + self.noise * torch.randn_like(pixels)
        return self.network(pixels) * self.scale


class Jagged(nn.Module):
    """A network that sees its input through a fine wave: each level of a pixel moves it far."""

    def __init__(self, network, height):
        super().__init__()
        self.network, self.height = network, height

    def forward(self, pixels):
        return self.network(pixels + self.height * torch.sin(1e4 * pixels))


class Kinked(nn.Module):
    """A network whose derivative is not finite, although its value is."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network(pixels) + (pixels - pixels).sqrt().sum((1, 2, 3))[:, None]


class Coarse(nn.Module):
    """A network that answers otherwise in bf16, as one does whose logits nearly tie."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        logits = self.network(pixels)
        return -logits if torch.is_autocast_enabled("cpu") else logits


@dataclass(frozen=True)
class Idle:
    """Stay at the image, whatever the gradient."""

    traits: ClassVar[Traits] = Traits(norms=("linf",))
    steps: int = 8

    def start(self, rows):
        """Stay."""

    def step(self, rows, logits, model):
        model.vjp(rows.goal.ascent(logits))


@pytest.fixture(scope="module")
def judged(trained, wrap):
    """Attack pictures of the trained network behind some obfuscation, and diagnose what comes out."""

    def run(attack, eps=0.06, count=8, fault=None, precision="fp32", **hidden):
        network = copy.deepcopy(trained.network)
        faulty = Obfuscated(network, **hidden) if hidden else fault(network) if fault else None
        classifier = trained.classifier if faulty is None else wrap(faulty, 5, 16, precision=precision)

        def job(place):
            image = trained.images[place]
            logits = classifier.logits(image[None])[0]
            problem = Problem(classifier, image, logits, int(trained.labels[place]), f"picture {place}", 0)
            plan = AttackPlan(attack, "test", eps=(eps,))
            (answer,) = yield from attack_job(problem, plan)
            told = yield from diagnose(problem, plan, answer)
            return place, answer.outcome.reached, told

        return [found[1:] for found in sorted(flow(map(job, range(count))), key=lambda found: found[0])]

    return run


def signs(found):
    return {name for _, told in found for name in told.indicators}


def test_a_sound_attack_that_succeeds_has_no_sign(judged):
    found = judged(Pgd(steps=20), eps=0.12)
    assert all(reached for reached, _ in found)
    assert signs(found) == set()


def test_a_sound_attack_that_fails_within_a_tiny_ball_is_not_blamed_for_its_gradients(judged):
    found = judged(Pgd(steps=60), eps=0.004)
    assert not any(reached for reached, _ in found)
    hidden = {"zero-gradients", "exploding-gradients", "changing-predictions", "no-progress", "unbounded-fails"}
    assert not signs(found) & {*hidden, "one-step-wins", "black-box-wins", "noise-wins"}


def test_pgd_looks_strong_behind_levels_noise_and_large_logits_and_the_diagnosis_says_why(judged):
    hidden = {"eps": 0.1, "levels": 24, "scale": 1e5, "noise": 0.02}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = judged(Pgd(steps=20), **hidden)
        broken = judged(Autoattack(steps=5, queries=800), **hidden)
    robust = [told for reached, told in found if not reached]
    assert len(robust) >= 7, "the network looks robust"
    assert all({"zero-gradients", "changing-predictions"} <= set(told.indicators) for told in robust)
    assert any("black-box-wins" in told.indicators for told in robust)
    assert sum(reached for reached, _ in broken) >= 7


def test_noise_inside_the_network_is_seen(judged):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = judged(Idle(), noise=0.1)
    assert any("changing-predictions" in told.indicators for reached, told in found if not reached)


def test_an_attack_that_does_not_move_is_seen(judged):
    found = judged(Idle(), eps=0.15, count=4)
    assert all({"no-progress", "unbounded-fails", "one-step-wins"} <= set(told.indicators) for _, told in found)


@pytest.fixture
def brief(monkeypatch):
    """Give the black-box control few queries: what it finds is not asked."""
    monkeypatch.setattr(diagnosis, "_QUERIES", 10)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("fault", [lambda network: Jagged(network, 0.05), Kinked])
def test_gradients_that_are_too_steep_or_not_finite_are_seen(judged, fault):
    found = judged(Idle(), count=2, fault=fault)
    assert all("exploding-gradients" in told.indicators for reached, told in found if not reached)
    assert not all(reached for reached, _ in found)
    assert "exploding-gradients" not in signs(judged(Idle(), count=2))


@pytest.mark.usefixtures("brief")
def test_a_loss_that_jumps_from_point_to_point_is_seen(judged):
    found = judged(Idle(), count=4, fault=lambda network: Jagged(network, 0.1))
    assert any("unstable-predictions" in told.indicators for reached, told in found if not reached)


@pytest.mark.usefixtures("brief")
def test_what_only_a_low_precision_calls_misclassified_is_seen(judged):
    found = judged(Idle(), count=1, fault=Coarse, precision="bf16")
    assert all("lost-in-precision" in told.indicators for _, told in found)
    assert not any(reached for reached, _ in found)
    assert "lost-in-precision" not in signs(judged(Idle(), count=1, fault=nn.Sequential, precision="bf16"))


@pytest.mark.usefixtures("brief")
def test_random_noise_that_does_better_is_seen(judged):
    found = judged(Idle(), eps=0.9, count=6)
    assert not any(reached for reached, _ in found)
    assert "noise-wins" in signs(found)
    assert "noise-wins" not in signs(judged(Idle(), eps=0.004, count=6))


def test_a_search_that_is_cut_short_is_seen(judged):
    found = judged(Pgd(steps=40, step_size=0.0004, random_start=False), eps=0.06)
    cut = [told for reached, told in found if not reached]
    assert cut
    assert all("incomplete-optimization" in told.indicators for told in cut)


def test_what_a_diagnosis_finds_does_not_depend_on_the_company(judged, monkeypatch):
    monkeypatch.setattr(diagnosis, "_QUERIES", 20)
    together, alone = judged(Idle(), count=3), judged(Idle(), count=1)
    assert together[0] == alone[0]
