"""AutoAttack: its stages, the stage that breaks an image, races that no batch decides, budgets, and few classes."""

import dataclasses

import pytest
import torch
from torch import nn

from advcli.attacks.apgd_ce import ApgdCe
from advcli.attacks.apgd_t import ApgdT
from advcli.attacks.autoattack import Autoattack
from advcli.attacks.fab_t import FabWithin
from advcli.attacks.square import Square
from advcli.registry import implementation
from advcli.search.flow import flow
from advcli.search.plans import AttackPlan, Problem, attack_job


def answers(attack, classifier, images, label, eps, queries=None, **options):
    """Run an attack on every picture: answers, in order."""
    logits = classifier.logits(images)

    def job(place):
        problem = Problem(classifier, images[place], logits[place], int(label[place]), f"picture {place}", seed=0)
        return place, (yield from attack_job(problem, AttackPlan(attack, "test", eps=(eps,), queries=queries)))[0]

    found = dict(flow((job(place) for place in range(len(images))), **{"batch_size": None, **options}))
    return [found[place] for place in range(len(images))]


def stages(attack, classes):
    return [(member.name, member.aim) for member in attack.members(classes)]


@pytest.mark.parametrize(("classes", "targets"), [(2, 1), (3, 2), (7, 6), (10, 9), (1000, 9)])
def test_the_standard_ensemble_is_that_of_the_paper(classes, targets):
    aims = range(1, targets + 1)
    expected = [("apgd-ce", 0), *(("apgd-t", aim) for aim in aims), *(("fab-t", aim) for aim in aims), ("square", 0)]
    for norm in ("linf", "l2"):
        members = Autoattack(norm=norm).members(classes)
        assert stages(Autoattack(norm=norm), classes) == expected
        assert members[0].attack == ApgdCe(norm, 100, 1)
        assert members[1] == ApgdT(norm, 100).members(classes)[0]
        assert members[1 + targets].attack == FabWithin(norm, 100)
        assert members[-1].attack == Square(norm, 5000, 0.8, rescale_schedule=False)


def test_in_l1_it_has_five_restarts_and_five_targets():
    members = Autoattack(norm="l1").members(10)
    assert members[0].attack == ApgdCe("l1", 100, 5)
    assert stages(Autoattack(norm="l1"), 10)[1:-1] == [
        (name, aim) for name in ("apgd-t", "fab-t") for aim in range(1, 6)
    ]


def cost(attack, classes=10):
    """Passes that a robust image costs, a backward pass counted twice."""
    total = 0
    for member in attack.members(classes):
        forward, backward = member.attack.traits.cost
        steps = member.attack.steps * getattr(member.attack, "restarts", 1)
        total += steps * (forward + 2 * backward)
    return total


def test_quick_costs_a_tenth_of_standard_at_most():
    for norm in ("linf", "l2"):
        assert cost(Autoattack(norm=norm, version="quick")) <= 0.1 * cost(Autoattack(norm=norm))


@pytest.fixture(scope="module")
def short():
    return Autoattack(steps=8, queries=20)


def test_the_stage_that_breaks_an_image_is_named(trained, short):
    found = answers(short, trained.classifier, trained.images, trained.labels, 0.035)
    broken = [answer for answer in found if answer.outcome.reached_as_saved]
    assert 0 < len(broken) < len(found)
    assert {answer.stage for answer in broken} <= {"apgd-ce", "apgd-t", "fab-t", "square"}
    assert "apgd-ce" in {answer.stage for answer in broken}
    alone = answers(ApgdCe(steps=8), trained.classifier, trained.images, trained.labels, 0.035)
    assert len(broken) >= sum(answer.outcome.reached_as_saved for answer in alone)


def plain(answer):
    outcome = {name: value for name, value in vars(answer.outcome).items() if not isinstance(value, torch.Tensor)}
    return {**outcome, "stage": answer.stage, "restart": answer.restart}


def test_no_batch_decides_a_race(trained):
    attack = ApgdT(steps=8)
    asked = (attack, trained.classifier, trained.images[:16], trained.labels[:16], 0.04)
    first, *others = (answers(*asked, batch_size=size) for size in (64, 1, 5))
    assert 0 < sum(answer.outcome.reached_as_saved for answer in first) < len(first)
    for other in others:
        for one, same in zip(first, other, strict=True):
            assert plain(one) == plain(same)
            assert torch.equal(one.outcome.pixels, same.outcome.pixels)
            assert torch.equal(one.outcome.saved, same.outcome.saved)


def test_the_winner_of_a_race_made_the_fewest_steps(trained):
    """Each search alone, with the random numbers that it has in the race, and the race itself."""
    attack = ApgdT(steps=8)
    asked = (trained.classifier, trained.images, trained.labels, 0.04)
    race = answers(attack, *asked)

    @dataclasses.dataclass(frozen=True)
    class One:
        place: int
        traits = ApgdT.traits
        norm: str = "linf"

        def members(self, classes):
            return attack.members(classes)[self.place : self.place + 1]

    alone = [answers(One(place), *asked) for place in range(4)]
    for image, answer in enumerate(race):
        runs = [run[image].outcome for run in alone]
        wins = [(run.steps, place) for place, run in enumerate(runs) if run.reached_as_saved]
        assert answer.outcome.reached_as_saved == bool(wins)
        if wins:
            steps, place = min(wins)
            assert torch.equal(answer.outcome.saved, runs[place].saved)
            assert answer.outcome.steps == steps
            assert answer.outcome.forward_passes == runs[place].forward_passes + 3 * (steps + 1)
            assert answer.outcome.backward_passes == runs[place].backward_passes + 3 * steps
        else:
            assert answer.outcome.forward_passes == sum(run.forward_passes for run in runs)


def test_a_bound_on_queries_holds_for_all_stages_together(trained, short):
    for queries in (1, 10, 40, 77):
        for answer in answers(short, trained.classifier, trained.images[:8], trained.labels[:8], 0.01, queries):
            assert answer.outcome.forward_passes + answer.outcome.backward_passes <= queries


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_any_number_of_classes_will_do(half_space, norm, classes):
    problem = half_space(9, classes)
    attack = Autoattack(norm=norm, steps=10, queries=10)
    near = problem.distances(norm).amin(1)
    reach = float(near.max()) * {"linf": 1.5, "l2": 1.5, "l1": 3}[norm]
    far = answers(attack, problem.classifier, problem.images, problem.label, reach)
    assert all(answer.outcome.reached_as_saved for answer in far)
    out_of_reach = answers(attack, problem.classifier, problem.images, problem.label, 0.9 * float(near.min()))
    assert not any(answer.outcome.reached for answer in out_of_reach)


def test_what_hides_its_gradient_falls_to_square(trained, wrap):
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = trained.network

        def forward(self, pixels):
            return self.network((pixels * 64).round() / 64)

    attack = Autoattack(steps=4, queries=600)
    found = answers(attack, wrap(Quantized(), 5, 16), trained.images[:12], trained.labels[:12], 0.1)
    assert {answer.stage for answer in found if answer.outcome.reached_as_saved} == {"square"}


@pytest.mark.parametrize("name", ["apgd-dlr", "apgd-t", "autoattack"])
def test_too_few_classes_for_the_loss_are_said(name):
    attack = implementation("attack", name)()
    assert attack.remark(4) is None
    assert attack.remark(3) == f"{name}: the DLR loss needs 4 classes; with 3 the loss is the margin"
