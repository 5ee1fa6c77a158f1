"""HopSkipJump and the boundary attack: from labels alone to the distance of a linear network's boundary."""

import pytest
import torch

from advcli.attacks.boundary import Boundary
from advcli.attacks.hopskipjump import HopSkipJump
from advcli.core.attack import norm_of
from advcli.search.flow import drive

BOTH = pytest.mark.parametrize("attack", [HopSkipJump(), Boundary()], ids=["hopskipjump", "boundary"])


def test_hopskipjump_converges_on_a_half_space(half_space, run_attack):
    problem = half_space(3)
    distances = problem.distances("l2").amin(1)
    asked = (problem.classifier, problem.images, problem.label, None, 0.0)
    few, many = (run_attack(HopSkipJump(), *asked, queries=queries) for queries in (300, 3000))
    assert (few.rank == 2).all()
    assert (many.distance < few.distance).all()
    assert (many.distance / distances).max() < 1.1
    assert (many.forward_passes == 3000).all()
    assert not many.backward_passes.any()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_target_is_reached_from_a_donor(half_space, attempts, classes):
    problem = half_space(4, classes)
    target = (problem.label + 1) % classes
    places = [int((problem.label == one).nonzero()[0, 0]) if (problem.label == one).any() else -1 for one in target]
    asked = attempts(HopSkipJump(norm="linf"), problem.classifier, problem.images, problem.label, target, 0.0)
    for attempt, place in zip(asked, places, strict=True):
        object.__setattr__(attempt, "donor", problem.images[place] if place >= 0 else None)
    outcomes = drive(asked, queries=300)
    for outcome, attempt, place in zip(outcomes, asked, places, strict=True):
        if place >= 0:
            assert outcome.reached
            assert int(outcome.logits.argmax()) == attempt.target
            start = (attempt.donor - attempt.image).abs().max()
            assert outcome.distance < start


@BOTH
def test_the_donor_is_where_the_walk_begins(half_space, make_rows, attack):
    problem = half_space(2)
    rows = make_rows(problem.images, problem.label)
    donor = torch.ones_like(problem.images)
    rows = rows.replace(donor=donor, adversarial=donor.clone())
    attack.start(rows)
    assert torch.equal(rows.adversarial, donor)
    assert norm_of(attack) in ("l2", None)


@BOTH
def test_a_row_that_finds_no_start_ends_at_once(trained, run_attack, wrap, attack):
    class Constant(torch.nn.Module):
        def forward(self, pixels):
            return torch.tensor([1.0, 0.0]).expand(len(pixels), 2) + 0 * pixels.flatten(1)[:, :1]

    found = run_attack(attack, wrap(Constant()), trained.images[:2, :, :8, :8], trained.labels[:2] * 0, None, 0.0)
    assert not found.rank.any()
    assert (found.forward_passes <= 27).all()


def test_the_boundary_attack_comes_nearer(half_space, run_attack):
    problem = half_space(2)
    asked = (Boundary(), problem.classifier, problem.images, problem.label, None, 0.0)
    few, many = (run_attack(*asked, queries=queries) for queries in (40, 400))
    assert (few.rank == 2).all()
    assert (many.distance < few.distance).all()
    assert (many.distance >= problem.distances("l2").amin(1) * (1 - 1e-5)).all()
