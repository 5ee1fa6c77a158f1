"""Every attack against linear classifiers, where the nearest adversarial point is known in closed form.

What is in the folder of attacks is tested here without being named. What is known of each attack beyond its contract
is in the table, and an attack that is missing there fails.
"""

import dataclasses
import math
import typing

import pytest
import torch
from scipy import stats

from advcli.attacks.ascent import Ascent
from advcli.attacks.fgsm import Fgsm
from advcli.attacks.gaussian_noise import GaussianNoise
from advcli.attacks.pgd import Pgd
from advcli.core.attack import Composed, norm_of
from advcli.core.grid import beyond
from advcli.core.norms import BALLS
from advcli.registry import implementation, names

BATCHES = (1, 2, 7, 33)
# Settings of attacks that would make hundreds of steps or queries.
SHORTER = {"steps": 12, "restarts": 2, "queries": 30, "gradient_queries": 10, "population": 20, "search_steps": 4}
# What is known of an attack in a norm: the radius, in distances to the boundary, at which it surely crosses; or in
# words why nothing is.
KNOWN = {
    ("fgsm", "linf"): 1.001, ("fgsm", "l2"): 1.001, ("fgsm", "l1"): 1.001,
    ("pgd", "linf"): 1.001, ("pgd", "l2"): 1.05, ("pgd", "l1"): 1.05,
    ("transfer", "linf"): 1.001, ("transfer", "l2"): 1.001,
    ("bim", None): 1.001, ("mifgsm", "linf"): 1.001, ("mifgsm", "l2"): 1.001,
    ("apgd-ce", "linf"): 1.001, ("apgd-ce", "l2"): 1.02, ("apgd-ce", "l1"): 1.1,
    ("apgd-dlr", "linf"): 1.001, ("apgd-dlr", "l2"): 1.02, ("apgd-dlr", "l1"): 1.1,
    ("apgd-t", "linf"): 1.001, ("apgd-t", "l2"): 1.02, ("apgd-t", "l1"): 1.1,
    ("autoattack", "linf"): 1.001, ("autoattack", "l2"): 1.02, ("autoattack", "l1"): 1.1,
    ("fab", "linf"): "no ball: see test_fab", ("fab", "l2"): "no ball: see test_fab",
    ("fab", "l1"): "no ball: see test_fab",
    ("fab-t", "linf"): "no ball: see test_fab", ("fab-t", "l2"): "no ball: see test_fab",
    ("fab-t", "l1"): "no ball: see test_fab",
    ("square", "linf"): "a random search: see test_square", ("square", "l2"): "a random search: see test_square",
    ("square", "l1"): "a random search: see test_square",
    ("gaussian-noise", "linf"): "chance, in no ball", ("gaussian-noise", "l2"): "chance, in no ball",
    ("gaussian-noise", "l1"): "chance, in no ball",
    ("ascent", None): "no ball: see test_ascent_walks_straight_to_its_target",
    ("deepfool", "linf"): "no ball: see test_deepfool", ("deepfool", "l2"): "no ball: see test_deepfool",
    ("deepfool", None): "no ball: see test_deepfool", ("jsma", None): "no ball: see test_jsma",
    ("ddn", None): "no ball: see test_minimum_norm", ("cw", None): "no ball: see test_minimum_norm",
    ("fmn", "l2"): "no ball: see test_minimum_norm", ("fmn", "linf"): "no ball: see test_minimum_norm",
    ("fmn", "l1"): "no ball: see test_minimum_norm", ("fmn", "l0"): "no ball: see test_minimum_norm",
    ("sigma-zero", None): "no ball: see test_minimum_norm", ("jpeg", None): "no ball: see test_controls",
    ("uniform-noise", "linf"): "a random point", ("uniform-noise", "l2"): "a random point",
    ("uniform-noise", "l1"): "a random point", ("blur", None): "no ball: see test_controls",
    ("brightness", None): "no ball: see test_controls",
    ("hopskipjump", "l2"): "no ball: see test_decisions", ("hopskipjump", "linf"): "no ball: see test_decisions",
    ("boundary", None): "no ball: see test_decisions", ("one-pixel", None): "no ball: see test_one_pixel",
}  # fmt: skip
SHORT = 0.999  # a radius at which nothing can cross
SCALE = {"linf": 1, "l2": 16, "l1": 150, "l0": 1000, None: 1}  # of a radius, for pictures of 8 x 8


def configured(name, **settings):
    """Build an attack by name, as short as is enough here."""
    made = implementation("attack", name)
    defaults = {field.name: field.default for field in dataclasses.fields(made)}
    short = {key: most for key, most in SHORTER.items() if isinstance(defaults.get(key), int) and defaults[key] > most}
    if name == "autoattack":  # whose settings stand for those of its version
        short = {"steps": SHORTER["steps"], "queries": SHORTER["queries"]}
    if name == "hopskipjump":  # each of whose steps takes many queries
        short["steps"] = 4
    return made(**{**short, **settings})


def variants():
    """Every attack in every norm that it knows."""
    found = []
    for name in names("attack"):
        made = implementation("attack", name)
        chosen = any(field.name == "norm" for field in dataclasses.fields(made))
        for norm in norms_of(made) if chosen else (None,):
            settings, label = ({"norm": norm}, f"{name}-{norm}") if chosen else ({}, name)
            found.append(pytest.param(name, settings, id=label))
    return found


def norms_of(made):
    """Choices of an attack's field ``norm``: of its balls, or only of its steps and its measure."""
    return made.traits.norms or typing.get_args(typing.get_type_hints(made)["norm"])


def balls():
    """Every attack that is held to a ball."""
    return [one for one in variants() if implementation("attack", one.values[0]).traits.eps == "bound"]


def targets_for(attack, problem):
    other = (problem.label + 1) % len(problem.weight)
    return other if attack.traits.targets == "must" else None


def radii(attack, count):
    return torch.linspace(0.01, 0.1, count) * SCALE[norm_of(attack)]


def searches(attack, classes):
    """Number of searches that an attack makes on each picture that survives: one per member of a composed attack."""
    return len(attack.members(classes)) if isinstance(attack, Composed) else 1


def assert_same(first, second):
    assert first.differences(second) == []


@pytest.mark.parametrize(("name", "settings"), variants())
def test_something_is_known_of_every_attack(name, settings):
    key = (name, settings.get("norm"))
    assert key in KNOWN, f"say in KNOWN of tests/attacks/test_half_space.py what is known of {key}"
    attack = implementation("attack", name)
    assert isinstance(KNOWN[key], float) or KNOWN[key].startswith("a random") or attack.traits.eps != "bound"


@pytest.mark.parametrize(("name", "settings"), variants())
@pytest.mark.parametrize(("classes", "count"), [(2, 1), (5, 7), (5, 33)])
def test_an_attack_keeps_its_contract(half_space, run_attack, name, settings, classes, count):
    problem = half_space(count, classes)
    attack = configured(name, **settings)
    eps = radii(attack, count)
    target = targets_for(attack, problem)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, target, eps, batch_size=64)
    for pixels in (found.pixels, found.saved):
        assert torch.isfinite(pixels).all()
        assert 0 <= pixels.min() <= pixels.max() <= 1
        if attack.traits.eps == "bound":
            assert (beyond(pixels, problem.images, eps, BALLS[norm_of(attack)]) <= 0).all()
    assert attack.traits.needs == "gradient" or not found.backward_passes.any()
    assert found.verification_passes.double().mean() <= 3 * searches(attack, classes) or count < 33
    # The verdict is the closed form's.
    reached = found.goal.reached(problem.logits(found.pixels))
    assert torch.equal(found.goal.reached(problem.logits(found.saved)), found.rank == 2)
    assert torch.equal(reached, found.rank >= 1)


@pytest.mark.parametrize(("name", "settings"), variants())
@pytest.mark.parametrize("early_exit", [True, False])
def test_an_attack_is_repeatable_and_knows_no_batch(half_space, run_attack, name, settings, early_exit):
    problem = half_space(33, 5)
    attack = configured(name, **settings)
    asked = (attack, problem.classifier, problem.images, problem.label, targets_for(attack, problem), radii(attack, 33))
    together = run_attack(*asked, batch_size=33, early_exit=early_exit)
    assert_same(together, run_attack(*asked, batch_size=7, early_exit=early_exit))
    for places in ([12], [4, 30], [32, 0, 17, 1, 25, 2, 9]):
        assert_same(together[torch.tensor(places)], run_attack(*asked, places=places, early_exit=early_exit))


@pytest.mark.parametrize(("name", "settings"), variants())
def test_an_attack_on_a_trained_network_knows_no_batch(trained, run_attack, name, settings):
    attack = configured(name, **settings)
    target = (trained.labels + 1) % 5 if attack.traits.targets == "must" else None
    few = slice(24)
    target = None if target is None else target[few]
    asked = (trained.classifier, trained.images[few], trained.labels[few], target, 0.06 * SCALE[norm_of(attack)])
    found = [run_attack(attack, *asked, batch_size=size) for size in (24, 7)]
    assert_same(*found)
    slow = (name, norm_of(attack)) == ("fmn", "l0")  # one value more in each step: as few steps as here reach nothing
    assert found[0].rank.any() or slow or attack.traits.needs != "gradient"
    assert found[0].verification_passes.double().mean() <= 3 * searches(attack, 5)


@pytest.mark.parametrize(("name", "settings"), variants())
def test_early_exit_changes_no_verdict(trained, run_attack, name, settings):
    attack = configured(name, **settings)
    target = (trained.labels + 1) % 5 if attack.traits.targets == "must" else None
    asked = (attack, trained.classifier, trained.images, trained.labels, target, 0.04 * SCALE[norm_of(attack)])
    early, late = (run_attack(*asked, early_exit=early_exit) for early_exit in (True, False))
    assert torch.equal(early.rank, late.rank)
    lost = early.rank == 0
    assert torch.equal(early.pixels[lost], late.pixels[lost])
    assert (early.forward_passes <= late.forward_passes).all()
    assert late.verification_passes.double().mean() <= 3 * searches(attack, 5)


def reach_of(problem, norm):
    """(N,) distance of each image to its nearest boundary; in l1 within [0, 1], in which one value cannot go far."""
    if norm != "l1":
        return problem.distances(norm).amin(1)
    downhill = problem.downhill().flatten(1)
    order = downhill.abs().argsort(dim=1, descending=True)
    start = problem.images.double().flatten(1)
    room = torch.where(downhill > 0, 1 - start, start).gather(1, order)
    slope = downhill.abs().gather(1, order)
    logits = problem.logits(problem.images)
    gap = logits.gather(1, problem.label[:, None]) - logits.gather(1, 1 - problem.label[:, None])
    fall = (slope * room).cumsum(1)
    piece = (fall < gap).sum(1, keepdim=True)  # the value in which the boundary is reached
    before = (room.cumsum(1) - room).gather(1, piece)
    left = gap - (fall - slope * room).gather(1, piece)
    return (before + left / slope.gather(1, piece))[:, 0]


@pytest.mark.parametrize(("name", "settings"), balls())
@pytest.mark.parametrize("classes", [5])
def test_nothing_crosses_a_boundary_out_of_reach(half_space, run_attack, name, settings, classes):
    problem = half_space(33, classes)
    attack = configured(name, **settings)
    distances = problem.distances(norm_of(attack))
    target = targets_for(attack, problem)
    nearest = distances.amin(1) if target is None else distances.gather(1, target[:, None])[:, 0]
    found = run_attack(attack, problem.classifier, problem.images, problem.label, target, SHORT * nearest)
    assert not found.rank.any()


@pytest.mark.parametrize(("name", "settings"), balls())
@pytest.mark.parametrize(("aimed", "count"), [(False, 1), (False, 33), (True, 7)])
def test_what_is_in_reach_is_reached(half_space, run_attack, name, settings, aimed, count):
    reach = KNOWN[name, settings.get("norm")]
    if isinstance(reach, str):
        return  # no radius is known at which it surely crosses
    problem = half_space(count)
    attack = configured(name, **settings)
    distance = reach * reach_of(problem, norm_of(attack))
    asked = (attack, problem.classifier, problem.images, problem.label, 1 - problem.label if aimed else None)
    assert (run_attack(*asked, distance).rank >= 1).all()
    # With two levels more to go, the picture on disk crosses too.
    values = problem.weight.shape[1]
    more = 2 / 255 * {"linf": 1, "l2": math.sqrt(values), "l1": values}[norm_of(attack)]
    assert (run_attack(*asked, distance + more).rank == 2).all()


@pytest.mark.parametrize(("name", "settings"), balls())
def test_with_two_classes_to_leave_one_is_to_reach_the_other(half_space, run_attack, name, settings):
    attack = configured(name, **settings)
    problem = half_space(33)
    if attack.traits.targets == "may":
        eps = problem.distances(norm_of(attack)).amin(1) * torch.linspace(0.5, 2, 33)
        asked = (attack, problem.classifier, problem.images, problem.label)
        assert_same(run_attack(*asked, None, eps), run_attack(*asked, 1 - problem.label, eps))


@pytest.mark.parametrize("steps", [1, 7, 40])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_ends_where_the_ball_reaches_farthest(half_space, run_attack, norm, steps):
    problem = half_space(33)
    eps = problem.distances(norm).amin(1).float() * torch.linspace(0.5, 1.2, 33)
    attack = Pgd(norm=norm, steps=steps, random_start=False)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, None, eps, early_exit=False)
    downhill = problem.downhill()
    direction = downhill.sign() if norm == "linf" else downhill / downhill.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    expected = problem.images + direction * eps.double().view(-1, 1, 1, 1)
    # The latest success is kept, or the highest margin: on a linear network the farthest point either way.
    assert (found.pixels - expected).abs().max() < 1e-6
    shorter = dataclasses.replace(attack, step_size=0.01)
    one_step = run_attack(shorter, problem.classifier, problem.images, problem.label, None, eps, early_exit=False)
    walked = torch.minimum(eps, torch.tensor(0.01 * steps))
    expected = problem.images + direction * walked.double().view(-1, 1, 1, 1)
    assert (one_step.pixels - expected).abs().max() < 3e-6  # forty steps, each rounded to float32


@pytest.mark.parametrize("eps", [0.3, 4.0, 40.0])
def test_pgd_in_l1_ends_at_the_highest_point_of_ball_and_range(half_space, run_attack, eps):
    problem = half_space(33)
    asked = (problem.classifier, problem.images, problem.label, None, eps)
    once = run_attack(Fgsm(norm="l1"), *asked, early_exit=False)
    often = run_attack(Pgd(norm="l1", steps=40, random_start=False), *asked, early_exit=False)
    downhill = problem.downhill().flatten(1)
    start = problem.images.double().flatten(1)
    room = torch.where(downhill > 0, 1 - start, start)
    for row in range(33):  # the values that count most, as far as they go, until eps is used up
        left, rise = eps, 0.0
        for value in downhill[row].abs().argsort(descending=True).tolist():
            taken = min(left, float(room[row, value]))
            left, rise = left - taken, rise + taken * float(downhill[row, value].abs())
        gain = found_rise(problem, once, row)
        assert gain == pytest.approx(rise, rel=1e-5)
        # Steps of one length that are projected back end near it, not at it.
        assert 0.9 * rise <= found_rise(problem, often, row) <= rise * (1 + 1e-5)


def found_rise(problem, found, row):
    delta = (found.pixels[row] - problem.images[row]).double().flatten()
    return float((delta * problem.downhill()[row].flatten()).sum())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fgsm_is_pgd_with_one_step_of_eps(half_space, trained, run_attack, norm):
    problem, eps = half_space(33), 0.06 * SCALE[norm]
    pgd = Pgd(norm=norm, steps=1, step_size=eps, random_start=False)
    for images, label, classifier in (
        (problem.images, problem.label, problem.classifier),
        (trained.images, trained.labels, trained.classifier),
    ):
        found = [run_attack(attack, classifier, images, label, None, eps) for attack in (Fgsm(norm=norm), pgd)]
        assert found[0].rank.any()
        assert_same(*found)


def test_fgsm_moves_the_margin_by_eps_times_the_dual_norm(half_space, run_attack):
    problem = half_space(33)
    for norm, dual in (("linf", 1), ("l2", 2)):
        found = run_attack(Fgsm(norm=norm), problem.classifier, problem.images, problem.label, None, 0.02)
        rise = found.goal.margin(problem.logits(found.pixels)) - found.goal.margin(problem.logits(problem.images))
        expected = 0.02 * problem.downhill().flatten(1).norm(p=dual, dim=1)
        assert torch.allclose(rise, expected, rtol=1e-5)


def test_a_random_start_lies_anywhere_in_the_ball(half_space, make_rows):
    problem = half_space(33)
    for norm in ("linf", "l2", "l1"):
        rows = make_rows(problem.images, problem.label, eps=0.05)
        Pgd(norm=norm).start(rows)
        sizes = BALLS[norm].size(rows.adversarial - problem.images) / 0.05
        assert (sizes <= 1 + 1e-4).all()
        assert (sizes > 0.8).all()  # of 192 dimensions, almost all of the ball lies near its edge
        assert rows.adversarial.flatten(1).unique(dim=0).shape[0] == 33
    starts = []
    for seed in (1, 2):
        rows = make_rows(problem.images, problem.label, eps=0.05, seed=seed)
        Pgd().start(rows)
        starts.append(rows.adversarial)
    assert not torch.equal(*starts)


@pytest.mark.parametrize("count", BATCHES)
@pytest.mark.parametrize("classes", [2, 5])
def test_ascent_walks_straight_to_its_target(half_space, run_attack, count, classes):
    problem = half_space(count, classes)
    target = (problem.label + 1) % classes
    size = 0.05
    attack = Ascent(steps=100, step_size=size)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, target)
    assert (found.rank == 2).all()
    assert torch.equal(found.saved_logits.argmax(1), target)
    direction = problem.weight[target] / problem.weight[target].norm(dim=1, keepdim=True)
    walked = found.backward_passes.view(-1, 1) * size * direction
    assert (found.pixels - problem.images - walked.view_as(problem.images)).abs().max() < 1e-5
    # The step before did not get there, or rounding to the grid undid it.
    before = (problem.images.flatten(1) + walked - size * direction).view_as(problem.images)
    rounded = (before * 255).round() / 255
    reached = [found.goal.reached(problem.logits(pixels), 1e-3) for pixels in (before, rounded)]
    assert not (reached[0] & reached[1] & (found.verification_passes == 1)).any()


def test_ascent_stops_at_black_and_white(half_space, run_attack):
    problem = half_space(7)
    attack = Ascent(steps=1, step_size=1e6)
    found = run_attack(attack, problem.classifier, problem.images, problem.label, 1 - problem.label)
    uphill = problem.weight[1 - problem.label].view_as(problem.images)
    assert torch.equal(found.pixels, (uphill > 0).float())


class Silent:
    """A model that an attack without gradients and queries never asks."""

    def vjp(self, cotangent, where=None):
        raise AssertionError

    def query(self, pixels, where=None):
        raise AssertionError


def drawn(attack, rows):
    """One draw of a noise attack."""
    attack.step(rows, torch.zeros(len(rows), 2), Silent())
    return rows.adversarial - rows.images


def test_gaussian_noise_is_normal_and_of_the_size_it_says(make_rows):
    images, label = torch.full((33, 3, 8, 8), 0.5), torch.zeros(33, dtype=torch.int64)
    for attack, eps, sigma in ((GaussianNoise(sigma=0.02), 0.5, 0.02), (GaussianNoise(), 0.01, 0.01)):
        delta = drawn(attack, make_rows(images, label, eps=eps)).double() / sigma
        assert stats.kstest(delta.flatten().numpy(), "norm").pvalue > 0.01
        assert float(delta.std()) == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(("norm", "order", "eps"), [("l2", 2, 0.7), ("l1", 1, 12.0)])
def test_gaussian_noise_is_about_eps_long(make_rows, norm, order, eps):
    rows = make_rows(torch.full((8, 3, 32, 32), 0.5), torch.zeros(8, dtype=torch.long), eps=eps)
    lengths = drawn(GaussianNoise(norm=norm), rows).flatten(1).norm(p=order, dim=1)
    assert ((lengths / eps - 1).abs() < 0.08).all()


def test_gaussian_noise_without_a_size_is_the_image(half_space, run_attack):
    problem = half_space(33)
    attack = GaussianNoise(sigma=0.0, steps=3)
    found = run_attack(attack, problem.classifier, problem.images, problem.label)
    assert torch.equal(found.pixels, problem.images)
    assert torch.equal(found.saved, problem.images)
    assert not found.rank.any()
    assert not found.verification_passes.any()  # the picture is the float point


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


def test_gaussian_noise_tries_again_from_the_image(half_space, run_attack):
    problem = half_space(33)
    asked = (problem.classifier, problem.images, problem.label, None, 0.01)
    once, often = (run_attack(GaussianNoise(steps=steps), *asked) for steps in (1, 10))
    assert not once.rank.any()
    for found in (once, often):  # ten draws on top of one another would be three times as far
        moved = (found.pixels - problem.images).flatten(1).std(1)
        assert ((moved < 0.013) & ((moved > 0.007) | (moved == 0))).all()
    assert often.forward_passes.tolist() == [11] * 33
    assert not torch.equal(once.pixels, often.pixels)
