"""Every attack, by what it declares: shapes, numbers of classes, counters, neighbors, networks at their worst."""

import dataclasses
import itertools
import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advcli.core.attack import Composed, norm_of
from advcli.core.grid import beyond
from advcli.core.norms import BALLS
from advcli.errors import ModelError
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.registry import implementation, names
from tests.counting import Counted

SHORT = {"steps": 3, "restarts": 1, "queries": 6, "gradient_queries": 4, "population": 5, "search_steps": 2}
RADII = {"linf": 0.05, "l2": 0.5, "l1": 3.0, "l0": 3.0, None: 0.0}


def short(name, **chosen):
    """Build an attack by name that ends after a few steps."""
    made = implementation("attack", name)
    fields = {field.name: field.default for field in dataclasses.fields(made)}
    known = {
        key: value
        for key, value in SHORT.items()
        if key in fields and (isinstance(fields[key], int) or key == "queries")
    }
    if name == "autoattack":
        known["steps"] = SHORT["steps"]
    return made(**{**known, **chosen})


def every():
    """Every attack in every norm that it can be given."""
    for name in names("attack"):
        made = implementation("attack", name)
        chosen = any(field.name == "norm" for field in dataclasses.fields(made))
        norms = made.traits.norms or typing.get_args(typing.get_type_hints(made)["norm"]) if chosen else ()
        for norm in norms or (None,):
            yield pytest.param(name, {"norm": norm} if norm else {}, id=f"{name}-{norm}" if norm else name)


EVERY = list(every())


def linear(shape, classes, block=16, seed=0):
    """A linear network on pictures of a shape, and pictures of its classes."""
    generator = torch.Generator().manual_seed(seed)
    height, width = shape
    layer = nn.Linear(3 * height * width, classes)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    layer.bias.data = -0.5 * layer.weight.data.sum(1)
    card = Card("test", "custom", "test", tuple(map(str, range(classes))), Preprocessing(shape, max(shape)))
    classifier = Classifier(nn.Sequential(nn.Flatten(), layer), card, block=block)
    images = (torch.rand(3, 3, height, width, generator=generator) * 255).round() / 255
    return classifier, images, classifier.logits(images).argmax(1)


def targets_for(attack, label, classes):
    return (label + 1) % classes if attack.traits.targets == "must" else None


@pytest.mark.parametrize(("name", "chosen"), EVERY)
@settings(max_examples=2)
@given(
    shape=st.sampled_from([(1, 1), (1, 5), (7, 2), (6, 6)]),
    classes=st.sampled_from([2, 3, 10]),
    seed=st.integers(0, 2**20),
)
def test_any_shape_and_number_of_classes_is_attacked_within_bounds(run_attack, name, chosen, shape, classes, seed):
    within_bounds(run_attack, short(name, **chosen), *linear(shape, classes, seed=seed))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "chosen"), EVERY)
def test_a_thousand_classes_are_attacked_within_bounds(run_attack, name, chosen):
    within_bounds(run_attack, short(name, **chosen), *linear((2, 3), 1000))


def within_bounds(run_attack, attack, classifier, images, label):
    eps = RADII[norm_of(attack)]
    target = targets_for(attack, label, len(classifier.card.classes))
    found = run_attack(attack, classifier, images, label, target, eps)
    for pixels in (found.pixels, found.saved):
        assert torch.isfinite(pixels).all()
        assert 0 <= pixels.min() <= pixels.max() <= 1
        if attack.traits.eps == "bound":
            assert (beyond(pixels, images, torch.full((len(images),), eps), BALLS[norm_of(attack)]) <= 0).all()
    assert torch.equal(found.goal.reached(classifier.logits(found.pixels)), found.rank >= 1)


@pytest.mark.parametrize(("name", "chosen"), EVERY)
def test_the_passes_that_are_said_are_those_that_hooks_count(run_attack, name, chosen):
    """With one row at a time nothing is filled; members of a race that are given up are charged by their traits."""
    attack = short(name, **chosen)
    strength = 0.001 if isinstance(attack, Composed) else 1.0  # in vain, so that nothing is given up
    classifier, images, label = linear((4, 5), 5, block=1)
    target = targets_for(attack, label, 5)
    eps = max(RADII[norm_of(attack)] * strength, 1.0 if norm_of(attack) == "l0" else 0.0)
    asked = (attack, classifier, images[:1], label[:1], None if target is None else target[:1], eps)
    run_attack(*asked)  # donors are chosen once
    counter = classifier.network = Counted(classifier.network)
    found = run_attack(*asked)
    looked = int(isinstance(attack, Composed))  # at the clean image, to choose the classes that members aim at
    assert counter.forward_rows - looked == int((found.forward_passes + found.verification_passes).sum())
    assert counter.backward_rows == int(found.backward_passes.sum())


@pytest.mark.parametrize(("name", "chosen"), EVERY)
def test_other_pictures_in_the_batch_change_nothing(run_attack, name, chosen):
    attack = short(name, **chosen)
    classifier, images, label = linear((4, 4), 5)
    asked = (targets_for(attack, label, 5), RADII[norm_of(attack)])
    expected = run_attack(attack, classifier, images, label, *asked)
    poisoned = torch.stack([torch.zeros_like(images[0]), images[1], 1 - images[2]])
    found = run_attack(attack, classifier, poisoned, label, *asked)
    one = torch.tensor([1])
    assert expected[one].differences(found[one]) == []


class Constant(nn.Module):
    """The same logits for every picture."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, pixels):
        return self.logits + 0 * pixels.flatten(1)[:, :1]


@pytest.mark.parametrize(("name", "chosen"), EVERY)
def test_a_constant_network_is_attacked_to_the_end_in_vain(run_attack, name, chosen, wrap):
    attack = short(name, **chosen)
    classifier = wrap(Constant([2.0, 1.0, 0.0]), 3, 5)
    images = (torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    label = torch.zeros(2, dtype=torch.int64)
    found = run_attack(attack, classifier, images, label, targets_for(attack, label, 3), RADII[norm_of(attack)])
    assert not found.rank.any()
    assert torch.isfinite(found.pixels).all()


class Breaking(nn.Module):
    """Logits that are not numbers for pictures that differ from grey."""

    def forward(self, pixels):
        flat = pixels.flatten(1)
        bad = torch.where((flat - 0.5).abs().amax(1, keepdim=True) > 1e-4, torch.nan, 1.0)
        return torch.cat([flat.mean(1, keepdim=True) * bad, 1 - flat.mean(1, keepdim=True)], 1)


@pytest.mark.parametrize(("name", "chosen"), EVERY)
def test_logits_that_are_not_numbers_end_an_attack_with_a_reason(run_attack, name, chosen, wrap):
    attack = short(name, **chosen)
    network = Breaking()
    classifier = wrap(network, 2, 4)
    images = torch.full((1, 3, 4, 4), 128 / 255)
    label = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ModelError, match="logits are not finite") as caught:
        run_attack(attack, classifier, images, label, targets_for(attack, label, 2), RADII[norm_of(attack)] or 0.1)
    assert caught.value.hint


def test_norms_and_attacks_are_all_here():
    assert {param.values[0] for param in EVERY} == set(names("attack"))
    assert len(EVERY) == len(set(itertools.chain(param.id for param in EVERY)))
