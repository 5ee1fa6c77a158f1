"""Losses to climb: their formulas, their directions, and what it means to be at the goal."""

import pytest
import torch
import torch.nn.functional as F

from advcli.core.goals import Goal

LOSSES = ("log-odds", "margin", "dlr")


@pytest.fixture
def logits():
    return torch.randn(24, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3


@pytest.fixture
def goals():
    label = torch.arange(24) % 6
    return Goal(label, torch.full_like(label, -1)), Goal(label, (label + 1 + torch.arange(24) // 6) % 6)


def cross_entropy_ascent(goal, logits):
    leaf = logits.clone().requires_grad_()
    sign = torch.where(goal.target >= 0, -1.0, 1.0)
    (sign * F.cross_entropy(leaf, goal.pivot, reduction="none")).sum().backward()
    return leaf.grad


def test_log_odds_are_the_logarithm_of_the_odds(goals, logits):
    for goal, sign in zip(goals, (1, -1), strict=True):
        p = logits.softmax(1).gather(1, goal.pivot[:, None])[:, 0]
        assert torch.allclose(goal.loss(logits), sign * ((1 - p).log() - p.log()), rtol=1e-12)


def test_log_odds_rise_where_cross_entropy_rises(goals, logits):
    for goal in goals:
        found, expected = goal.ascent(logits), cross_entropy_ascent(goal, logits)
        assert torch.allclose(F.normalize(found), F.normalize(expected), rtol=0, atol=1e-12)
        order = goal.loss(logits).argsort()
        entropy = F.cross_entropy(logits, goal.pivot, reduction="none") * torch.where(goal.target >= 0, -1.0, 1.0)
        assert torch.equal(order, entropy.argsort())


@pytest.mark.parametrize("scale", [1e-5, 1.0, 20.0, 1e5])
def test_the_direction_survives_any_scale_of_the_logits(goals, logits, scale):
    for goal in goals:
        cotangent = goal.ascent((logits * scale).float())
        assert cotangent.dtype == torch.float32
        assert torch.isfinite(cotangent).all()
        pivot = cotangent.gather(1, goal.pivot[:, None]).abs()
        assert torch.allclose(pivot, torch.ones_like(pivot))  # where cross-entropy's is 1 - p, which underflows
        assert torch.allclose(cotangent.sum(1), torch.zeros(24), atol=1e-6)


def test_margin_is_the_gap_to_the_highest_other_class(goals, logits):
    for goal, sign in zip(goals, (1, -1), strict=True):
        expected = [max(z[k] for k in range(6) if k != c) - z[c] for z, c in zip(logits, goal.pivot, strict=True)]
        assert torch.equal(goal.loss(logits, "margin"), sign * torch.stack(expected))


def test_dlr_is_the_papers(goals, logits):
    untargeted, targeted = goals
    ranked = logits.sort(1, descending=True).values
    for row, z in enumerate(logits):
        y, t = targeted.label[row], targeted.target[row]
        others = max(z[k] for k in range(6) if k != y)
        plain = -(z[y] - others) / (ranked[row, 0] - ranked[row, 2] + 1e-12)
        aimed = -(z[y] - z[t]) / (ranked[row, 0] - (ranked[row, 2] + ranked[row, 3]) / 2 + 1e-12)
        assert torch.isclose(untargeted.loss(logits, "dlr")[row], plain, rtol=1e-12)
        assert torch.isclose(targeted.loss(logits, "dlr")[row], aimed, rtol=1e-12)


def test_dlr_knows_no_scale(goals, logits):
    for goal in goals:
        assert torch.allclose(goal.loss(logits, "dlr"), goal.loss(1000 * logits + 7, "dlr"), rtol=1e-9)


def test_dlr_needs_three_classes(logits):
    goal = Goal(torch.zeros(24, dtype=torch.int64), torch.full((24,), -1))
    three = logits[:, :3]
    ranked = three.sort(1, descending=True).values
    expected = goal.loss(three, "margin") / (ranked[:, 0] - ranked[:, 2] + 1e-12)
    assert torch.allclose(goal.loss(three, "dlr"), expected, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_cotangent_is_the_derivative_of_the_loss(goals, logits, name):
    step = 1e-6
    for goal in goals:
        bumps = step * torch.eye(6, dtype=torch.float64)
        slopes = [(goal.loss(logits + bump, name) - goal.loss(logits - bump, name)) / (2 * step) for bump in bumps]
        assert torch.allclose(goal.ascent(logits, name), torch.stack(slopes, 1), atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_knows_nothing_of_its_neighbors(goals, logits, name):
    mixed = Goal(goals[0].label, torch.where(torch.arange(24) % 2 == 0, goals[0].target, goals[1].target))
    narrow = logits.float()
    loss, ascent = mixed.loss(narrow, name), mixed.ascent(narrow, name)
    for row in range(24):
        alone = Goal(mixed.label[row : row + 1], mixed.target[row : row + 1])
        assert torch.equal(alone.ascent(narrow[row : row + 1], name)[0], ascent[row])
        assert torch.isclose(alone.loss(narrow[row : row + 1], name)[0], loss[row], rtol=1e-14)


def test_with_two_classes_to_leave_is_to_reach_the_other(logits):
    label = torch.arange(24) % 2
    leave, reach = Goal(label, torch.full_like(label, -1)), Goal(label, 1 - label)
    for name in ("log-odds", "margin"):
        assert torch.allclose(leave.loss(logits[:, :2], name), reach.loss(logits[:, :2], name), rtol=1e-12)
        assert torch.allclose(leave.ascent(logits[:, :2], name), reach.ascent(logits[:, :2], name), rtol=1e-12)


def test_a_goal_is_reached_by_more_than_a_tie():
    logits = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.5, 0.0], [1.0, 0.5, 3.0]])
    zero = torch.zeros(3, dtype=torch.int64)
    leave, reach = Goal(zero, zero - 1), Goal(zero, zero + 1)
    assert leave.reached(logits).tolist() == [False, True, True]
    assert reach.reached(logits).tolist() == [False, True, False]
    assert leave.reached(logits, 0.5).tolist() == [False, False, True]
    assert leave.reached(logits, torch.tensor([0.0, 0.4, 2.0])).tolist() == [False, True, False]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_counted_in_float64(goals, logits, name):
    narrow = logits.float()
    loss = goals[0].loss(narrow, name)
    assert loss.dtype == torch.float64
    assert torch.equal(loss, goals[0].loss(narrow.double(), name))


def test_the_callers_logits_stay_out_of_it(goals, logits):
    with torch.no_grad():
        goals[0].ascent(logits)
    assert not logits.requires_grad
    assert logits.grad is None


def test_a_loss_may_aim_at_another_class_than_the_goal(goals, logits):
    untargeted, targeted = goals
    aimed = Goal(untargeted.label, untargeted.target, targeted.target)
    for name in LOSSES:
        assert torch.equal(aimed.loss(logits, name), targeted.loss(logits, name))
        assert torch.equal(aimed.ascent(logits, name), targeted.ascent(logits, name))
    assert torch.equal(aimed.reached(logits), untargeted.reached(logits))
    assert torch.equal(aimed.margin(logits), untargeted.loss(logits, "margin"))
    some = torch.where(torch.arange(24) % 2 == 0, targeted.target, -1)
    mixed = Goal(untargeted.label, untargeted.target, some).loss(logits)
    expected = torch.where(some >= 0, targeted.loss(logits), untargeted.loss(logits))
    assert torch.equal(mixed, expected)


def test_the_goal_of_one_row():
    assert Goal.of(2).reached(torch.tensor([[3.0, 0.0, 1.0]])).item()
    assert not Goal.of(2, 1).reached(torch.tensor([[3.0, 0.0, 1.0]])).item()
