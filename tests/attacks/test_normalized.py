"""Attacks with a radius per channel are those of code that works behind the normalization."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.attacks.bim import Bim
from advcli.attacks.fgsm import Fgsm
from advcli.attacks.pgd import Pgd
from advcli.core.attack import norm_of
from advcli.core.radii import radii, shares_of
from advcli.errors import UsageError
from advcli.models.card import Card, Preprocessing
from advcli.registry import implementation, names, parse_methods
from advcli.search.config import AttackConfig, uses_eps
from advcli.search.diagnosis import diagnose
from advcli.search.flow import flow
from advcli.search.plans import AttackPlan, Problem, attack_job

MEAN, STD = (0.45, 0.5, 0.4), (0.12, 0.25, 0.2)
SHARES = shares_of(STD)
ASKED = {"linf": 0.2, "l2": 2.0, "l1": 40.0}  # behind the normalization
SHORT = {"steps": 4, "restarts": 1, "targets": 2}


def card_with(std):
    return Card("net", "custom", "test", ("a", "b", "c"), Preprocessing((8, 8), 8, mean=MEAN, std=std))


class Model:
    """What a step sees of a network."""

    def __init__(self, network, rows):
        self.network, self.rows = network, rows

    def vjp(self, cotangent, where=None):
        leaf = self.rows.adversarial.detach().requires_grad_()
        return torch.autograd.grad(self.network(leaf), leaf, cotangent)[0]

    def query(self, pixels, where=None):
        raise NotImplementedError("no step here asks for candidates")


@pytest.fixture(scope="module")
def network():
    """A smooth network behind a normalization, computed in float64 so that signs of gradients are those of the math."""
    torch.manual_seed(0)
    behind = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 12), nn.Softplus(), nn.Linear(12, 4)).double()
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    return behind, mean, std


def loop(network, images, label, norm, eps, alpha, steps):
    """Give every point of plain projected gradient steps behind the normalization, as pixels.

    ``alpha`` is the length of a step, for linf one per channel if need be.
    """
    behind, mean, std = network
    center = (images.double() - mean) / std
    low, high = (0 - mean) / std, (1 - mean) / std
    point, visited = center.clone(), []
    for _ in range(steps):
        leaf = point.requires_grad_()
        gradient = torch.autograd.grad(F.cross_entropy(behind(leaf), label, reduction="sum"), leaf)[0]
        if norm == "linf":
            delta = (point.detach() + alpha * gradient.sign() - center).clamp(-eps, eps)
        else:
            delta = point.detach() + alpha * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1) - center
            size = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            delta = delta * (eps / size).clamp(max=1)
        point = torch.minimum(torch.maximum(center + delta, low), high)
        visited.append(point.detach() * std + mean)
    return visited


def stepped(network, attack, rows, steps):
    """Give every point of an attack that is given these rows."""
    behind, mean, std = network

    def whole(pixels):
        return behind((pixels.double() - mean) / std).float()

    attack.start(rows)
    visited = []
    for _ in range(steps):
        attack.step(rows, whole(rows.adversarial), Model(whole, rows))
        visited.append(rows.adversarial.clone())
    return visited


@pytest.mark.parametrize(
    ("attack", "alpha"),
    [
        (Fgsm(), 0.2),
        (Fgsm(norm="l2"), 2.0),
        (Pgd(steps=5, random_start=False), 0.1),
        (Pgd(steps=5, random_start=False, norm="l2"), 1.0),
        (Bim(steps=5, step_size=0.01), (0.01 / torch.tensor(STD, dtype=torch.float64)).view(3, 1, 1)),
    ],
    ids=["fgsm-linf", "fgsm-l2", "pgd-linf", "pgd-l2", "bim"],
)
def test_every_step_is_that_of_a_plain_loop_behind_the_normalization(network, make_rows, attack, alpha):
    generator = torch.Generator().manual_seed(1)
    images, label = torch.rand(5, 3, 6, 6, generator=generator), torch.arange(5) % 4
    norm = norm_of(attack)
    eps = radii([ASKED[norm] * max(STD)] * 5, SHARES, images.device)
    assert torch.allclose(eps[0], ASKED[norm] * torch.tensor(STD))
    rows = make_rows(images, label).replace(eps=eps)
    found = stepped(network, attack, rows, attack.steps)
    expected = loop(network, images, label, norm, ASKED[norm], alpha, attack.steps)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours.double(), theirs, rtol=0, atol=2e-6)


def every():
    """Each attack in each norm in which it knows a radius per channel, short."""
    for name in names("attack"):
        made = implementation("attack", name)
        fields = {field.name: field.default for field in dataclasses.fields(made)}
        short = {key: value for key, value in SHORT.items() if key in fields}
        for norm in made.traits.channels:
            yield pytest.param(made(**short, **({"norm": norm} if "norm" in fields else {})), id=f"{name}-{norm}")


def answers(attack, classifier, images, labels, batch_size, **plan):
    def job(place):
        logits = classifier.logits(images[place : place + 1])[0]
        problem = Problem(classifier, images[place], logits, int(labels[place]), f"sha {place}", seed=0)
        eps = ASKED[norm_of(attack)] * max(STD)
        (answer,) = yield from attack_job(problem, AttackPlan(attack, "test", -1, (eps,), SHARES, **plan))
        return place, answer

    found = dict(flow((job(place) for place in range(len(images))), batch_size=batch_size))
    return [found[place] for place in range(len(images))]


@pytest.mark.parametrize("attack", list(every()))
def test_what_is_saved_is_inside_in_every_channel_and_knows_no_batch(attack, trained):
    images, labels = trained.images[:7], trained.labels[:7]
    together, apart = (answers(attack, trained.classifier, images, labels, size) for size in (7, 3))
    moved = 0
    for image, one, other in zip(images, together, apart, strict=True):
        assert torch.equal(one.outcome.pixels, other.outcome.pixels)
        assert torch.equal(one.outcome.saved, other.outcome.saved)
        if attack.traits.eps == "bound":
            for pixels in (one.outcome.pixels, one.outcome.saved):
                assert length_of(attack, pixels - image) <= ASKED[norm_of(attack)] * (1 + 1e-4)
        moved += bool((one.outcome.saved != image).any())
    assert moved


def length_of(attack, delta):
    """Length of a perturbation behind the normalization."""
    order = {"linf": math.inf, "l2": 2, "l1": 1}[norm_of(attack)]
    return float((delta.double() / torch.tensor(STD, dtype=torch.float64).view(3, 1, 1)).flatten().norm(p=order))


def test_the_smallest_eps_is_that_of_the_widest_channel(trained):
    images, labels = trained.images[:8], trained.labels[:8]
    attack, resolution = Pgd(steps=6), 0.002
    found = answers(attack, trained.classifier, images, labels, 8, min_eps_resolution=resolution)
    reached = [(image, one) for image, one in zip(images, found, strict=True) if one.outcome.reached_as_saved]
    assert reached
    for image, one in reached:
        assert length_of(attack, one.outcome.saved - image) <= one.eps / max(STD) * (1 + 1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_diagnosis_attacks_in_the_same_ball(trained, norm):
    image, label = trained.images[0], int(trained.labels[0])
    problem = Problem(trained.classifier, image, trained.classifier.logits(image[None])[0], label, "sha", seed=0)
    plan = AttackPlan(Pgd(norm=norm, steps=2), "test", eps=(1e-4,), shares=SHARES)

    def job():
        (answer,) = yield from attack_job(problem, plan)
        return (yield from diagnose(problem, plan, answer))

    (told,) = flow([job()])
    assert {"noise_success", "one_step_success", "unbounded_success", "zero_gradients"} <= set(told.figures)
    assert ("black_box_success" in told.figures) == (norm == "linf")  # square has one radius for all channels in l2


def test_an_attack_that_knows_one_radius_is_refused_where_channels_differ_and_not_where_they_are_alike():
    refused = []
    different, alike = (card_with(std) for std in (STD, (0.25, 0.25, 0.25)))
    for name in names("attack"):
        for norm in implementation("attack", name).traits.norms:
            made = implementation("attack", name)
            choosing = any(field.name == "norm" for field in dataclasses.fields(made))
            if name == "transfer" or not (choosing or norm == made.traits.norms[0]):
                continue
            (method,) = parse_methods("attack", [f"{name}:norm={norm}" if choosing else name], "--method")
            if not uses_eps(method) or norm == "l0":
                continue
            (eps,) = parse_methods("attack", ["pgd:eps=0.1"], "--method")[0].eps
            config = AttackConfig((method,), (eps,), eps_space="normalized")
            (cell,), _ = config.cells(alike)
            assert (cell.shares, cell.unit, cell.eps.value) == (None, 0.25, pytest.approx(0.025))
            if norm in made.traits.channels:
                assert config.cells(different)[0][0].shares == SHARES
                continue
            with pytest.raises(UsageError, match=f"{name} in {norm} knows one radius for all channels"):
                config.cells(different)
            refused.append((name, norm))
    assert ("autoattack", "linf") in refused
    assert ("square", "l2") in refused
