"""FAB: its projections against a quadratic program and bounds, exact on linear networks, as near as torchattacks."""

import math

import pytest
import torch
import torchattacks
from scipy import optimize

from advcli.attacks import _fab
from advcli.attacks._hyperplanes import to_hyperplane
from advcli.attacks.fab import Fab
from advcli.attacks.fab_t import FabT, FabWithin
from advcli.core.norms import BALLS

NORMS = pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
ORDER = {"linf": math.inf, "l2": 2, "l1": 1}


def planes(count=30, size=(2, 3), seed=0):
    """Pictures, normals with some zeros, and gaps of both signs, some of them out of reach."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(count, 3, *size, generator=generator)
    pixels[::3, 0] = 0.0
    pixels[1::3, 1] = 1.0
    normal = torch.randn(count, 3, *size, generator=generator)
    normal[:, 2, 0] = 0.0
    gap = torch.randn(count, generator=generator, dtype=torch.float64) * torch.logspace(-3, 1.3, count).double()
    return pixels, normal, gap


def least_change(pixel, normal, gap, norm):
    """The size of the least change, by linear programming or a quadratic program; infinite where there is none."""
    x, w = pixel.double().flatten().numpy(), normal.double().flatten().numpy()
    d = len(x)
    if norm == "l2":
        found = optimize.minimize(
            lambda delta: (delta**2).sum(), x * 0, jac=lambda delta: 2 * delta, method="SLSQP",
            bounds=list(zip(-x, 1 - x, strict=True)), options={"ftol": 1e-15, "maxiter": 500},
            constraints={"type": "eq", "fun": lambda delta: w @ delta - gap, "jac": lambda _: w},
        )  # fmt: skip
        return float((found.x**2).sum() ** 0.5) if found.success else math.inf
    up, down = (1 - x).tolist(), x.tolist()
    if norm == "l1":  # change = rise - fall
        found = optimize.linprog([1] * 2 * d, A_eq=[[*w, *-w]], b_eq=[gap], bounds=[(0, most) for most in (*up, *down)])
    else:  # the last variable bounds all sizes
        rows = [[sign * (place == one) for place in range(d)] + [-1] for one in range(d) for sign in (1, -1)]
        bounds = [*((-low, high) for low, high in zip(down, up, strict=True)), (0, None)]
        found = optimize.linprog([0] * d + [1], rows, [0] * 2 * d, [[*w, 0]], [gap], bounds)
    return found.fun if found.success else math.inf


@NORMS
def test_no_smaller_change_reaches_the_hyperplane(norm):
    pixels, normal, gap = planes()
    change = to_hyperplane(pixels, normal, gap, norm)
    moved = pixels.double() + change
    assert (moved >= -1e-12).all()
    assert (moved <= 1 + 1e-12).all()
    across = (normal.double() * change).flatten(1).sum(1)
    out_of_reach = 0
    for row in range(len(gap)):
        least = least_change(pixels[row], normal[row], float(gap[row]), norm)
        if math.isfinite(least):
            assert float(across[row]) == pytest.approx(float(gap[row]), rel=1e-9, abs=1e-12)
            assert float(change[row].flatten().norm(p=ORDER[norm])) == pytest.approx(least, rel=1e-4, abs=1e-9)
        else:  # as far as [0, 1] goes
            out_of_reach += 1
            uphill = normal[row] * gap[row].sign() > 0
            end = torch.where(normal[row] == 0, pixels[row], uphill.float())
            assert torch.allclose(moved[row], end.double(), atol=1e-9)
    assert 0 < out_of_reach < len(gap)


@NORMS
def test_a_hyperplane_is_the_same_in_any_company(norm):
    pixels, normal, gap = planes(size=(8, 8))
    together = to_hyperplane(pixels, normal, gap, norm)
    for row in range(len(gap)):
        alone = to_hyperplane(pixels[row : row + 1], normal[row : row + 1], gap[row : row + 1], norm)
        assert torch.equal(together[row].float(), alone[0].float())


def nearest(problem, norm):
    """Distance of each picture to its nearest boundary within [0, 1]."""
    found = []
    for image, label, logits in zip(
        problem.images, problem.label.tolist(), problem.logits(problem.images), strict=True
    ):
        others = [k for k in range(len(logits)) if k != label]
        normal = torch.stack([problem.weight[k] - problem.weight[label] for k in others])
        gap = torch.stack([logits[label] - logits[k] for k in others])
        images = image[None].repeat(len(others), 1, 1, 1)
        change = to_hyperplane(images, normal.view_as(images), gap, norm).flatten(1)
        found.append(change.norm(p=ORDER[norm], dim=1).min())
    return torch.stack(found)


@NORMS
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("attack", [Fab, FabT])
def test_on_a_linear_network_it_ends_at_the_nearest_boundary(half_space, run_attack, attack, norm, classes):
    problem = half_space(17, classes)
    found = run_attack(attack(norm=norm, steps=20), problem.classifier, problem.images, problem.label, None, 0.0)
    least = nearest(problem, norm)
    if norm != "l1":
        assert torch.allclose(least, problem.distances(norm).amin(1), rtol=1e-6)  # |f| / |w| in the dual norm
    assert (found.rank >= 1).all()
    assert (found.distance >= least * (1 - 1e-4)).all()
    # FAB judges which boundary is nearest without [0, 1], in which l1 cannot go far along one value: it may choose
    # another one. FAB-T tries all of them.
    if attack is FabT or norm != "l1" or classes == 2:
        assert (found.distance <= least * 1.001 + 1e-6).all()


def test_without_a_gradient_nothing_moves(wrap, run_attack):
    class Constant(torch.nn.Module):
        def forward(self, pixels):
            return torch.tensor([1.0, 0.0, -1.0]).expand(len(pixels), -1) + 0 * pixels.sum((1, 2, 3))[:, None]

    images, label = torch.full((3, 3, 8, 8), 0.2).round(decimals=1), torch.zeros(3, dtype=torch.int64)
    for attack in (Fab(), Fab(starts=2), FabT(), FabWithin()):
        found = run_attack(attack, wrap(Constant(), 3, 8), images, label, None, 0.1)
        assert not found.rank.any()
        assert found.backward_passes.max() <= 8


@NORMS
def test_more_starts_find_nearer_points(trained, run_attack, norm):
    asked = (trained.classifier, trained.images[:12], trained.labels[:12], None, 0.0)
    once, more = (run_attack(Fab(norm=norm, steps=8, starts=starts), *asked) for starts in (1, 3))
    assert more.distance.mean() < once.distance.mean()
    assert (more.backward_passes > once.backward_passes).all()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.045), ("l2", 0.85), ("l1", 9.0)])
def test_within_eps_a_row_leaves_at_its_first_success(trained, run_attack, norm, eps):
    asked = (trained.classifier, trained.images, trained.labels, None)
    smallest = run_attack(Fab(norm=norm, steps=15), *asked, 0.0)
    within = run_attack(FabWithin(norm=norm, steps=15), *asked, eps)
    reached = within.rank == 2
    assert (smallest.distance[reached] <= eps * (1 + 1e-4)).all()
    assert reached.sum() >= 0.6 * (smallest.distance <= eps).sum()  # the others are met in the final search alone
    assert (BALLS[norm].size(within.pixels - trained.images) <= eps * (1 + 1e-4)).all()
    assert 0 < reached.sum() < 40
    assert (within.forward_passes[reached] <= smallest.forward_passes[reached]).all()


@NORMS
def test_it_comes_as_near_as_torchattacks(trained, run_attack, norm):
    count, steps = 16, 10
    images, label = trained.images[:count], trained.labels[:count]
    ours = run_attack(Fab(norm=norm, steps=steps), trained.classifier, images, label, None, 0.0).distance
    reference = torchattacks.FAB(trained.network, norm=norm.capitalize(), eps=1e3, steps=steps, n_classes=5)
    adversarial = reference.attack_single_run(images, label)
    theirs = BALLS[norm].size(adversarial - images)
    theirs = torch.where(trained.network(adversarial).argmax(1) != label, theirs, torch.inf)
    assert ours.median() <= theirs.median() * 1.01
    constants = (_fab.DRAWN, _fab.OVERSHOOT, _fab.BACK)
    assert constants == (reference.alpha_max, reference.eta, reference.beta)
