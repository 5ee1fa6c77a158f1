"""Every attack against linear classifiers, where the nearest adversarial point is known in closed form.

What is in the folder of attacks is tested here without being named; what is known of one attack beyond its contract is
in the tables.
"""

import dataclasses
import math

import pytest
import torch
from scipy import stats

from advcli.attacks.ascent import Ascent
from advcli.attacks.fgsm import Fgsm
from advcli.attacks.gaussian_noise import GaussianNoise
from advcli.attacks.pgd import Pgd
from advcli.core.attack import traits
from advcli.core.norms import BALLS
from advcli.engine.drive import drive
from advcli.engine.outcome import AS_SAVED, IN_FLOAT, NOTHING, Outcome
from advcli.registry import implementation, names

BATCHES = (1, 2, 7, 33)
MOST_STEPS = 20  # of attacks that would make hundreds
# Radius, in distances to the boundary, at which an attack surely crosses it. Others are only held to their contract.
REACH = {("fgsm", "linf"): 1.001, ("fgsm", "l2"): 1.001, ("pgd", "linf"): 1.001, ("pgd", "l2"): 1.05}
SHORT = 0.999  # a radius at which nothing can


def configured(name, **settings):
    """Build an attack by name, with as few steps as are needed here."""
    made = implementation("attack", name)
    steps = {field.name: field.default for field in dataclasses.fields(made)}.get("steps")
    limit = {"steps": min(steps, MOST_STEPS)} if isinstance(steps, int) else {}
    return made(**limit, **settings)


def variants():
    """Every attack in every norm that it knows."""
    found = []
    for name in names("attack"):
        made = implementation("attack", name)
        chosen = any(field.name == "norm" for field in dataclasses.fields(made))
        for norm in getattr(made, "norms", tuple(BALLS)) if chosen else (None,):
            settings, label = ({"norm": norm}, f"{name}-{norm}") if chosen else ({}, name)
            found.append(pytest.param(name, settings, id=label))
    return found


def balls():
    """Every attack that is held to a ball."""
    return [one for one in variants() if traits(configured(one.values[0], **one.values[1])).scale == "ball"]


def targets_for(attack, problem):
    other = (problem.label + 1) % len(problem.weight)
    return other if traits(attack).targets == "must" else None


def assert_same(first, second):
    for field in dataclasses.fields(Outcome):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name)), field.name


@pytest.mark.parametrize(("name", "settings"), variants())
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("count", BATCHES)
def test_an_attack_keeps_its_contract(half_space, make_rows, name, settings, classes, count):
    problem = half_space(count, classes)
    attack = configured(name, **settings)
    what = traits(attack)
    eps = torch.linspace(0.01, 0.1, count) * (16 if what.norm == "l2" else 1)
    rows = make_rows(problem.images, problem.label, targets_for(attack, problem), eps=eps)
    outcome = drive(attack, problem.classifier, rows, in_flight=64)
    for pixels in (outcome.pixels, outcome.saved):
        assert torch.isfinite(pixels).all()
        assert 0 <= pixels.min() <= pixels.max() <= 1
        if what.scale == "ball":
            assert (BALLS[what.norm].size(pixels - problem.images) <= eps * (1 + 1e-5) + 1e-6).all()
    assert what.needs == "gradient" or not outcome.pulls.any()
    # The driver's verdict is the closed form's.
    fooled = rows.goal.reached(problem.logits(outcome.pixels))
    fooled_as_saved = rows.goal.reached(problem.logits(outcome.saved))
    assert torch.equal(fooled_as_saved, outcome.rank == AS_SAVED)
    assert torch.equal(fooled | fooled_as_saved, outcome.rank >= IN_FLOAT)


@pytest.mark.parametrize(("name", "settings"), variants())
@pytest.mark.parametrize("classes", [2, 5])
def test_an_attack_is_repeatable_and_knows_no_batch(half_space, make_rows, name, settings, classes):
    problem = half_space(33, classes)
    attack = configured(name, **settings)
    eps = torch.linspace(0.01, 0.1, 33) * (16 if traits(attack).norm == "l2" else 1)
    rows = make_rows(problem.images, problem.label, targets_for(attack, problem), eps=eps)
    outcome = drive(attack, problem.classifier, rows, in_flight=33)
    assert_same(outcome, drive(attack, problem.classifier, rows, in_flight=7))
    for places in ([12], [4, 30], [32, 0, 17, 1, 25, 2, 9]):
        alone = rows[torch.tensor(places)]
        alone.index = torch.arange(len(places))
        found = drive(attack, problem.classifier, alone, in_flight=33)
        for field in dataclasses.fields(Outcome):
            assert torch.equal(getattr(found, field.name), getattr(outcome, field.name)[places]), field.name


@pytest.mark.parametrize(("name", "settings"), variants())
def test_an_attack_on_a_trained_network_knows_no_batch(trained, make_rows, name, settings):
    attack = configured(name, **settings)
    target = (trained.labels + 1) % 5 if traits(attack).targets == "must" else None
    rows = make_rows(trained.images, trained.labels, target, eps=1.0 if traits(attack).norm == "l2" else 0.06)
    outcomes = [drive(attack, trained.classifier, rows, in_flight=n) for n in (40, 7)]
    assert_same(*outcomes)
    assert outcomes[0].rank.any() or traits(attack).needs != "gradient"


@pytest.mark.parametrize(("name", "settings"), balls())
@pytest.mark.parametrize("classes", [2, 5])
def test_nothing_crosses_a_boundary_out_of_reach(half_space, make_rows, name, settings, classes):
    problem = half_space(33, classes)
    attack = configured(name, **settings)
    distances = problem.distances(traits(attack).norm)
    target = targets_for(attack, problem)
    nearest = distances.amin(1) if target is None else distances.gather(1, target[:, None])[:, 0]
    rows = make_rows(problem.images, problem.label, target, eps=SHORT * nearest)
    outcome = drive(attack, problem.classifier, rows, in_flight=33)
    assert (outcome.rank == NOTHING).all()


@pytest.mark.parametrize(("name", "settings"), balls())
@pytest.mark.parametrize("aimed", [False, True])
@pytest.mark.parametrize("count", BATCHES)
def test_what_is_in_reach_is_reached(half_space, make_rows, name, settings, aimed, count):
    problem = half_space(count)
    attack = configured(name, **settings)
    reach = REACH.get((name, traits(attack).norm))
    if reach is None:
        pytest.skip(f"nothing is known of {name} beyond its contract")
    distance = problem.distances(traits(attack).norm).amin(1)
    rows = make_rows(problem.images, problem.label, 1 - problem.label if aimed else None, eps=reach * distance)
    outcome = drive(attack, problem.classifier, rows, in_flight=33)
    assert (outcome.rank >= IN_FLOAT).all()
    # With two levels more to go, the picture on disk crosses too.
    more = 2 / 255 * (1 if traits(attack).norm == "linf" else math.sqrt(problem.weight.shape[1]))
    rows.eps = (reach * distance).float() + more
    assert (drive(attack, problem.classifier, rows, in_flight=33).rank == AS_SAVED).all()


@pytest.mark.parametrize(("name", "settings"), balls())
def test_with_two_classes_to_leave_one_is_to_reach_the_other(half_space, make_rows, name, settings):
    problem = half_space(33)
    attack = configured(name, **settings)
    if traits(attack).targets != "may":
        pytest.skip(f"{name} has no choice between the two")
    eps = problem.distances(traits(attack).norm).amin(1) * torch.linspace(0.5, 2, 33)
    leave = drive(attack, problem.classifier, make_rows(problem.images, problem.label, eps=eps), in_flight=33)
    aimed = make_rows(problem.images, problem.label, 1 - problem.label, eps=eps)
    assert_same(leave, drive(attack, problem.classifier, aimed, in_flight=33))


@pytest.mark.parametrize("steps", [1, 7, 40])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_ends_where_the_ball_reaches_farthest(half_space, make_rows, norm, steps):
    problem = half_space(33)
    eps = problem.distances(norm).amin(1).float() * torch.linspace(0.5, 1.2, 33)
    rows = make_rows(problem.images, problem.label, eps=eps)
    attack = Pgd(norm=norm, steps=steps, random_start=False)
    outcome = drive(attack, problem.classifier, rows, in_flight=33, early_exit=False)
    downhill = problem.downhill()
    direction = downhill.sign() if norm == "linf" else downhill / downhill.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    expected = problem.images + direction * eps.double().view(-1, 1, 1, 1)
    # Rows whose picture on disk crossed before the last step keep the last picture that did: the same one here.
    assert (outcome.pixels - expected).abs().max() < 1e-6
    one_step = drive(dataclasses.replace(attack, step_size=0.01), problem.classifier, rows, in_flight=33)
    walked = torch.minimum(eps, torch.tensor(0.01 * steps))
    lost = one_step.rank == NOTHING
    assert lost.any()
    expected = problem.images + direction * walked.double().view(-1, 1, 1, 1)
    assert (one_step.pixels - expected)[lost].abs().max() < 3e-6  # forty steps, each rounded to float32


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_pgd_with_one_step_of_eps(half_space, trained, make_rows, norm):
    problem, eps = half_space(33), 0.06 if norm == "linf" else 0.9
    pgd = Pgd(norm=norm, steps=1, step_size=eps, random_start=False)
    for images, label, classifier in (
        (problem.images, problem.label, problem.classifier),
        (trained.images, trained.labels, trained.classifier),
    ):
        rows = make_rows(images, label, eps=eps)
        outcomes = [drive(attack, classifier, rows, in_flight=33) for attack in (Fgsm(norm=norm), pgd)]
        assert outcomes[0].rank.any()
        assert_same(*outcomes)


def test_fgsm_moves_the_margin_by_eps_times_the_dual_norm(half_space, make_rows):
    problem = half_space(33)
    for norm, dual in (("linf", 1), ("l2", 2)):
        rows = make_rows(problem.images, problem.label, eps=0.02)
        outcome = drive(Fgsm(norm=norm), problem.classifier, rows, in_flight=33)
        rise = rows.goal.loss(problem.logits(outcome.pixels), "margin")
        rise = rise - rows.goal.loss(problem.logits(problem.images), "margin")
        expected = 0.02 * problem.downhill().flatten(1).norm(p=dual, dim=1)
        assert torch.allclose(rise, expected, rtol=1e-5)


def test_a_random_start_lies_anywhere_in_the_ball(half_space, make_rows):
    problem = half_space(33)
    for norm, ball in BALLS.items():
        rows = make_rows(problem.images, problem.label, eps=0.05)
        before = rows[:]
        before.adversarial = before.images.clone()
        Pgd(norm=norm).start(before, before.noise)
        sizes = ball.size(before.adversarial - problem.images) / 0.05
        assert (sizes <= 1 + 1e-5).all()
        assert (sizes > 0.8).all()  # of 192 dimensions, almost all of the ball lies near its edge
        assert before.adversarial.flatten(1).unique(dim=0).shape[0] == 33
    rows = make_rows(problem.images, problem.label, eps=0.05, seed=1)
    Pgd().start(rows, rows.noise)
    again = make_rows(problem.images, problem.label, eps=0.05, seed=2)
    Pgd().start(again, again.noise)
    assert not torch.equal(rows.adversarial, again.adversarial)


@pytest.mark.parametrize("count", BATCHES)
@pytest.mark.parametrize("classes", [2, 5])
def test_ascent_walks_straight_to_its_target(half_space, make_rows, count, classes):
    problem = half_space(count, classes)
    target = (problem.label + 1) % classes
    rows = make_rows(problem.images, problem.label, target)
    size = 0.05
    outcome = drive(Ascent(steps=100, step_size=size), problem.classifier, rows, in_flight=33)
    assert (outcome.rank == AS_SAVED).all()
    assert torch.equal(outcome.saved_logits.argmax(1), target)
    direction = problem.weight[target] / problem.weight[target].norm(dim=1, keepdim=True)
    walked = outcome.pulls.view(-1, 1) * size * direction
    assert (outcome.pixels - problem.images - walked.view_as(problem.images)).abs().max() < 1e-5
    # The step before did not get there, or rounding to the grid undid it.
    before = (problem.images.flatten(1) + walked - size * direction).view_as(problem.images)
    rounded = (before * 255).round() / 255
    reached = [rows.goal.reached(problem.logits(pixels), 1e-3) for pixels in (before, rounded)]
    assert not (reached[0] & reached[1]).any()


def test_ascent_stops_at_black_and_white(half_space, make_rows):
    problem = half_space(7)
    rows = make_rows(problem.images, problem.label, 1 - problem.label)
    outcome = drive(Ascent(steps=1, step_size=1e6), problem.classifier, rows, in_flight=7)
    uphill = problem.weight[1 - problem.label].view_as(problem.images)
    assert torch.equal(outcome.pixels, (uphill > 0).float())


def drawn(attack, rows):
    """One draw of a noise attack."""
    attack.step(rows, torch.zeros(len(rows), 2), lambda cotangent: cotangent)
    return rows.adversarial - rows.images


def test_gaussian_noise_is_normal_and_of_the_size_it_says(make_rows):
    images, label = torch.full((33, 3, 8, 8), 0.5), torch.zeros(33, dtype=torch.int64)
    for attack, eps, sigma in ((GaussianNoise(sigma=0.02), 0.5, 0.02), (GaussianNoise(), 0.01, 0.01)):
        delta = drawn(attack, make_rows(images, label, eps=eps)).double() / sigma
        assert stats.kstest(delta.flatten().numpy(), "norm").pvalue > 0.01
        assert float(delta.std()) == pytest.approx(1, rel=0.03)


def test_gaussian_noise_for_l2_is_about_eps_long(make_rows):
    rows = make_rows(torch.full((8, 3, 32, 32), 0.5), torch.zeros(8, dtype=torch.long), eps=0.7)
    lengths = drawn(GaussianNoise(norm="l2"), rows).flatten(1).norm(dim=1)
    assert ((lengths - 0.7).abs() < 0.05).all()


def test_gaussian_noise_without_a_size_is_the_image(half_space, make_rows):
    problem = half_space(33)
    rows = make_rows(problem.images, problem.label)
    outcome = drive(GaussianNoise(sigma=0.0, steps=3), problem.classifier, rows, in_flight=33)
    assert torch.equal(outcome.pixels, problem.images)
    assert torch.equal(outcome.saved, problem.images)
    assert (outcome.rank == NOTHING).all()


def test_gaussian_noise_crosses_as_often_as_the_normal_distribution_says(half_space, make_rows):
    problem = half_space(33)
    sigma = 0.05
    downhill = problem.downhill()
    direction = downhill / downhill.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    farther = problem.distances("l2").amin(1) - sigma  # so that one standard deviation is left
    images = (problem.images + direction * farther.view(-1, 1, 1, 1)).float()
    crossed = 0
    for seed in range(60):
        rows = make_rows(images, problem.label, eps=sigma, seed=seed)
        delta = drawn(GaussianNoise(), rows)
        crossed += int(rows.goal.reached(problem.logits(images + delta)).sum())
    chance, trials = stats.norm.cdf(-1), 60 * 33
    assert crossed / trials == pytest.approx(chance, abs=3 * math.sqrt(chance * (1 - chance) / trials))


def test_gaussian_noise_tries_again_from_the_image(half_space, make_rows):
    problem = half_space(33)
    rows = make_rows(problem.images, problem.label, eps=0.01)
    once, often = (drive(GaussianNoise(steps=steps), problem.classifier, rows, in_flight=33) for steps in (1, 10))
    assert (once.rank == NOTHING).all()
    for outcome in (once, often):  # ten draws on top of one another would be three times as far
        assert float((outcome.pixels - problem.images).std()) == pytest.approx(0.01, rel=0.05)
    assert often.passes.tolist() == [11 + 1] * 33
    assert not torch.equal(once.pixels, often.pixels)
