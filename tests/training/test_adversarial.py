"""Objectives and inner attacks against closed forms of linear networks."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.core.norms import BALLS
from advcli.training.adversarial import adversarial, divergence, evaluating, fgsm, pgd, plain, trades

EPS = 0.1


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).train()


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4))


@pytest.fixture
def pixels():
    return torch.rand(16, 3, 8, 8, generator=generator(1)) * 0.6 + 0.2  # a ball of EPS fits into [0, 1]


@pytest.fixture
def labels():
    return torch.randint(0, 4, (16,), generator=generator(2))


def loss_of(labels):
    return lambda logits: F.cross_entropy(logits, labels, reduction="sum")


@pytest.mark.parametrize("attack", [partial(fgsm, eps=EPS), partial(pgd, eps=EPS), partial(pgd, norm="l2", eps=1.0)])
def test_the_inner_attack_raises_the_loss_of_every_image(network, pixels, labels, attack):
    moved = attack(network, loss_of(labels), pixels, generator())
    with evaluating(network), torch.no_grad():
        before, after = (F.cross_entropy(network(one), labels, reduction="none") for one in (pixels, moved))
    assert (after > before).all()


@pytest.mark.parametrize(("norm", "eps"), [("linf", EPS), ("l2", 1.0), ("l1", 5.0)])
def test_the_inner_attack_stays_in_its_ball(network, pixels, labels, norm, eps):
    moved = pgd(network, loss_of(labels), pixels, generator(), norm=norm, eps=eps)
    assert (BALLS[norm].size(moved - pixels) <= eps * (1 + 1e-5)).all()
    assert ((moved >= 0) & (moved <= 1)).all()


def test_against_a_linear_network_of_two_classes_it_finds_the_corner(pixels):
    torch.manual_seed(0)
    line = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2))
    labels = torch.zeros(16, dtype=torch.int64)
    uphill = (line[1].weight[1] - line[1].weight[0]).sign().view(3, 8, 8)
    moved = pgd(line, loss_of(labels), pixels, generator(), eps=EPS, steps=10)
    assert torch.allclose(moved, pixels + EPS * uphill)


def test_the_attack_leaves_weights_gradients_statistics_and_mode_alone(network, pixels, labels):
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pgd(network, loss_of(labels), pixels, generator())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [module.training for module in network] == [True, False, True, True, True]


def test_the_generator_decides(network, pixels, labels):
    first, again, other = (fgsm(network, loss_of(labels), pixels, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_adversarial_training_is_plain_training_on_what_the_attack_finds(linear, pixels, labels):
    attack = partial(pgd, eps=EPS)
    loss, logits = adversarial(
        linear, pixels, labels, generator(), attack=attack, base=partial(plain, label_smoothing=0.1)
    )
    moved = attack(linear, loss_of(labels), pixels, generator())
    expected, same = plain(linear, moved, labels, generator(), label_smoothing=0.1)
    assert torch.equal(loss, expected)
    assert torch.equal(logits, same)


def test_trades_adds_the_divergence_of_what_the_attack_finds(linear, pixels, labels):
    attack = partial(pgd, eps=EPS)
    clean, _ = plain(linear, pixels, labels, generator())
    answer = linear(pixels).softmax(1).detach()
    moved = attack(linear, lambda logits: divergence(answer, logits).sum(), pixels, generator())
    log_ratio = linear(pixels).log_softmax(1) - linear(moved).log_softmax(1)
    added = (linear(pixels).softmax(1) * log_ratio).sum(1).mean()
    assert added > 0
    for beta in (0.0, 1.0, 6.0):
        loss, logits = trades(linear, pixels, labels, generator(), attack=attack, beta=beta)
        assert torch.allclose(loss, clean + beta * added, atol=1e-6)
        assert torch.equal(logits, linear(pixels))
