"""What a training is hardened against: words to objectives, and penalties against closed forms."""

import pytest
import torch
from torch import nn

from advcli.errors import UsageError
from advcli.training.adversarial import plain
from advcli.training.objectives import Hardening, Inner, parse_inner
from advcli.training.penalties import flat, noisy


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch():
    return torch.rand(8, 3, 4, 4, generator=generator(1)), torch.arange(8) % 3


def linear(weight):
    layer = nn.Linear(48, len(weight), bias=False)
    layer.weight.data = weight
    return nn.Sequential(nn.Flatten(), layer)


def test_the_penalty_is_the_frobenius_norm_of_a_linear_networks_weight(batch):
    rows = 2.5 * torch.linalg.qr(torch.randn(48, 3, generator=generator()))[0].T  # every direction is as long
    network = linear(rows.contiguous())
    loss, logits = flat(network, *batch, generator(), weight=0.1)
    clean, same = plain(network, *batch, generator())
    assert float((loss - clean).detach()) == pytest.approx(0.05 * float(rows.square().sum()), rel=1e-4)
    assert torch.equal(logits, same)
    loss.backward()
    assert network[1].weight.grad.isfinite().all()


def test_a_penalty_of_no_weight_is_plain_training(batch):
    network = linear(torch.randn(3, 48, generator=generator()))
    assert torch.equal(flat(network, *batch, generator(), weight=0)[0], plain(network, *batch, generator())[0])


def test_noise_has_the_deviation_asked_for_and_follows_its_generator(batch):
    seen = []

    def base(network, pixels, labels, source):
        seen.append(pixels)
        return pixels.mean(), pixels.flatten(1)

    many = (torch.full((64, 3, 16, 16), 0.5), torch.zeros(64, dtype=torch.int64))
    for _ in range(2):
        noisy(None, *many, generator(), sigma=0.25, base=base)
    assert float((seen[0] - 0.5).std()) == pytest.approx(0.25, rel=0.01)
    assert torch.equal(seen[0], seen[1])
    assert seen[0].min() < 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pgd", Inner("pgd", "linf", 8 / 255, 7)),
        ("pgd:eps=2/255,steps=3,step_size=0.01", Inner("pgd", "linf", 2 / 255, 3, 0.01)),
        ("pgd:norm=l2,eps=0.5", Inner("pgd", "l2", 0.5, 7)),
        ("trades:beta=0", Inner("trades", steps=10, beta=0.0)),
        ("fast:eps=4/255", Inner("fast", eps=4 / 255, steps=1)),
    ],
)
def test_words_become_an_attack(text, expected):
    assert parse_inner(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "fgsm", "pgd:steps=0", "pgd:steps=1.5", "pgd:eps=x", "pgd:beta=6", "fast:steps=2", "pgd:eps", "pgd:norm=l3"],
)
def test_words_without_meaning_are_refused(text):
    with pytest.raises(UsageError, match="--attack"):
        parse_inner(text)


@pytest.mark.parametrize("text", ["trades:beta=-1", "pgd:eps=1/255,eps=2/255", "pgd:eps=nan"])
def test_values_without_meaning_are_refused(text):
    with pytest.raises(UsageError, match="--attack"):
        parse_inner(text)


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"jacobian": float("inf")}, {"noise": float("nan")}])
def test_numbers_without_meaning_are_refused(wrong):
    with pytest.raises(UsageError, match="--"):
        Hardening(**wrong)


def test_noise_and_an_attack_are_not_both_taken():
    with pytest.raises(UsageError, match="exclude"):
        Hardening(attack=Inner("pgd"), noise=0.1)


def test_the_objective_is_that_of_the_words(batch):
    network = linear(torch.randn(3, 48, generator=generator()))
    clean = plain(network, *batch, generator())[0].item()
    harder = {
        "pgd": Hardening(attack=parse_inner("pgd")),
        "fast": Hardening(attack=parse_inner("fast")),
        "trades": Hardening(attack=parse_inner("trades")),
        "jacobian": Hardening(jacobian=0.1),
    }
    for one in harder.values():
        assert one.objective(0.0)(network, *batch, generator())[0].item() > clean
    for one in (Hardening(), Hardening(attack=parse_inner("trades:beta=0"))):
        assert one.objective(0.0)(network, *batch, generator())[0].item() == clean
