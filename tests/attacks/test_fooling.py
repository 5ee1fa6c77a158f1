"""Fooling images: the climb ends where the network is as sure as wanted."""

import torch
from torch.nn.functional import softmax

from advcli.attacks._fooling import Fooling


def test_it_ends_at_the_confidence_that_is_asked_for(half_space, run_attack):
    problem = half_space(12, classes=3)
    target = (problem.label + 1) % 3
    sure = run_attack(Fooling(confidence=0.99), problem.classifier, problem.images, problem.label, target)
    assert (sure.rank == 2).all()
    probability = softmax(sure.saved_logits.double(), 1).gather(1, target[:, None])
    assert (probability > 0.98).all()
    soon = run_attack(Fooling(confidence=0.6), problem.classifier, problem.images, problem.label, target)
    assert (soon.steps <= sure.steps).all()
    assert (soon.distance < sure.distance).all()


def test_it_walks_straight_to_a_half_space(half_space, run_attack):
    """With two classes the way is the normal of the boundary, so that the distance is known to one step."""
    problem = half_space(10)
    target = 1 - problem.label
    attack = Fooling(confidence=0.5, step_size=0.02)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, target)
    exact = problem.distances("l2").gather(1, target[:, None])[:, 0]
    assert (found.distance >= exact - 1e-5).all()
    assert (found.distance <= exact + 0.0201).all()


def test_a_picture_that_is_there_already_is_left_as_it_is(half_space, run_attack):
    problem = half_space(6)
    found = run_attack(Fooling(confidence=0.5), problem.classifier, problem.images, 1 - problem.label, problem.label)
    assert torch.equal(found.pixels, problem.images)
    assert not found.backward_passes.any()
