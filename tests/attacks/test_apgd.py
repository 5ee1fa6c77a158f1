"""Auto-PGD: its checkpoints, its path against the formulas and torchattacks, its losses, targets and l1 steps."""

import math

import pytest
import torch
import torchattacks
from torch import nn

from advcli.attacks import _apgd
from advcli.attacks.apgd_ce import ApgdCe
from advcli.attacks.apgd_dlr import ApgdDlr
from advcli.attacks.apgd_t import ApgdT
from advcli.attacks.pgd import Pgd
from advcli.core.attack import Traits
from advcli.core.goals import Goal
from advcli.core.norms import BALLS

EPS = {"linf": 0.03, "l2": 0.5}


def test_the_checkpoints_are_those_of_the_paper():
    assert _apgd.checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert _apgd.checkpoints(50) == (11, 21, 29, 35, 40, 44, 47, 50)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 12, 30, 77, 1000])
def test_checkpoints_of_any_search_ascend_within_it(steps):
    found = _apgd.checkpoints(steps)
    assert list(found) == sorted(set(found))
    assert found[0] == math.ceil(0.22 * steps)
    assert found[-1] <= steps


def test_l1_goes_through_three_balls_and_each_start_is_looked_at():
    assert _apgd.phases("l1", 100) == ((0, 3.0), (31, 2.0), (62, 1.0))
    assert _apgd.ages("l1", 100) == 102
    assert _apgd.phases("linf", 100) == ((0, 1.0),)
    assert _apgd.ages("l2", 100) == 100


class Spy:
    """An attack that notes every point that it looks at, by age."""

    def __init__(self, attack):
        self.attack, self.norm, self.traits = attack, attack.norm, attack.traits
        self.start, self.steps_for = attack.start, attack.steps_for
        self.visited = {}

    def step(self, rows, logits, model):
        for row, index in enumerate(rows.index.tolist()):
            self.visited.setdefault(index, []).append(rows.adversarial[row].clone())
        self.attack.step(rows, logits, model)


@pytest.fixture
def path(run_attack):
    """Run an attack to its last step; the points (steps, 3, H, W) that each picture went through."""

    def run(attack, classifier, images, label, target=None, eps=0.03):
        spy = Spy(attack)
        run_attack(spy, classifier, images, label, target, eps, early_exit=False, batch_size=64)
        return [torch.stack(spy.visited[place]) for place in range(len(label))]

    return run


def by_the_paper(exact, image, label, start, norm, steps, eps):
    """Algorithm 1 for one picture, as plain as it stands in the paper, on log-odds in float64: the points looked at."""
    image, label = image[None], label[None]

    def look(x):
        leaf = x.clone().requires_grad_()
        loss = Goal(label, torch.full_like(label, -1)).loss(exact(leaf))
        return loss.item(), torch.autograd.grad(loss.sum(), leaf)[0]

    def project(x):
        return BALLS[norm].project(x, image, torch.tensor([eps]))

    def ascend(x, gradient, size):
        direction = gradient.sign() if norm == "linf" else gradient / gradient.norm()
        return project(x + size * direction)

    size, points = 2 * eps, [start[None]]
    losses, gradients = [], []
    value, gradient = look(points[0])
    losses.append(value)
    best, best_loss, best_gradient, last = points[0], value, gradient, points[0]
    here, checked, halved, before = points[0], value, False, 0
    for k in range(steps - 1):
        if k in _apgd.checkpoints(steps):
            rises = sum(losses[i + 1] > losses[i] for i in range(before, k))
            halve = rises < 0.75 * (k - before) or (not halved and best_loss == checked)
            if halve:
                size, here, gradient = size / 2, best, best_gradient
            halved, checked, before = halve, best_loss, k
        ahead = ascend(here, gradient, size)
        share = 1.0 if k == 0 else 0.75
        moved = project(here + share * (ahead - here) + (1 - share) * (here - last))
        last, here = here, moved
        points.append(here)
        value, gradient = look(here)
        losses.append(value)
        gradients.append(gradient)
        if value > best_loss:
            best, best_loss, best_gradient = here, value, gradient
    return torch.cat(points)


@pytest.mark.parametrize("steps", [23, 50])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_point_is_that_of_algorithm_1(smooth, path, norm, steps):
    eps = EPS[norm]
    found = path(ApgdCe(norm=norm, steps=steps), smooth.exact, smooth.images[:6], smooth.labels[:6], eps=eps)
    for place, points in enumerate(found):
        asked = (smooth.images[place], smooth.labels[place], points[0], norm, steps, eps)
        expected = by_the_paper(smooth.exact_network, *asked)
        assert len(points) == steps
        # In l2 a rounding error of each step is seen through the next gradient.
        assert (points - expected).abs().max() < (1e-6 if norm == "linf" else 5e-4)


class Wide(nn.Module):
    """A trained network with its logits left in float64, that notes what it is shown with a gradient."""

    def __init__(self, trained):
        super().__init__()
        self.inner, self.shown = trained.exact_network, []

    def forward(self, pixels):
        if pixels.requires_grad:
            self.shown.append(pixels.detach().clone())
        return self.inner.network((pixels.double() - self.inner.mean) / self.inner.std)


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_torchattacks_goes_the_same_way_until_its_first_checkpoint(smooth, path, monkeypatch, norm, loss):
    """Its later checkpoints count the first comparison of a search for a rise; ours, as in the paper, do not."""
    count, eps = 8, EPS[norm]
    attack = {"ce": ApgdCe, "dlr": ApgdDlr}[loss](norm=norm)
    ours = torch.stack(path(attack, smooth.exact, smooth.images[:count], smooth.labels[:count], eps=eps))
    model = Wide(smooth).eval()
    reference = torchattacks.APGD(model, norm=norm.capitalize(), eps=eps, steps=100, loss=loss)
    offset = (ours[:, 0] - smooth.images[:count]) / eps
    # The start is ours. Where it was cut to [0, 1] its largest value may fall short; theirs is scaled to 1 again.
    inside = offset.flatten(1).abs().amax(1) > 1 - 1e-5 if norm == "linf" else offset.flatten(1).norm(dim=1) > 1 - 1e-5
    draw = (offset + 1) / 2 if norm == "linf" else offset
    monkeypatch.setattr(torch, "rand" if norm == "linf" else "randn", lambda *_: draw.clone())
    reference(smooth.images[:count], smooth.labels[:count])
    monkeypatch.undo()
    theirs = torch.stack(model.shown[:22], 1)
    assert inside.sum() > count // 2
    assert (ours[inside, :22] - theirs[inside]).abs().max() < 2e-5


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_first_point_lies_on_the_edge_and_belongs_to_the_row(half_space, make_rows, norm):
    problem, eps = half_space(33), 0.02 * {"linf": 1, "l2": 16, "l1": 150}[norm]
    rows = make_rows(problem.images, problem.label, eps=eps)
    ApgdCe(norm=norm).start(rows)
    sizes = BALLS[norm].size(rows.adversarial - problem.images) / eps
    assert torch.allclose(sizes, torch.full_like(sizes, 3.0 if norm == "l1" else 1.0), rtol=1e-4)
    assert rows.adversarial.flatten(1).unique(dim=0).shape[0] == 33


class Scaled(nn.Module):
    """A network whose logits are multiplied."""

    def __init__(self, network, factor):
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, pixels):
        return self.factor * self.network(pixels)


def test_no_scale_of_the_logits_hides_anything(trained, wrap, run_attack):
    networks = [wrap(Scaled(trained.network, 2.0**power), classes=5, size=16) for power in (0, 17)]
    asked = (trained.images, trained.labels, None, 0.045)
    dlr, scaled_dlr = (run_attack(ApgdDlr(steps=12), network, *asked) for network in networks)
    assert dlr.differences(scaled_dlr) in ([], ["logits", "saved_logits"])
    ce, scaled_ce = (int((run_attack(ApgdCe(steps=12), network, *asked).rank == 2).sum()) for network in networks)
    assert scaled_ce > 0.8 * ce
    reference = torchattacks.APGD(networks[1].network, eps=0.045, steps=12)(trained.images, trained.labels)
    right = networks[1].network(reference).argmax(1) == trained.labels
    assert right.sum() > 40 - scaled_ce  # cross-entropy itself has no gradient left


def linear(wrap, classes, size=4, seed=0):
    """A linear network with so many classes, pictures, and their predictions."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(3 * size * size, classes)
    layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
    images = (torch.rand(20, 3, size, size, generator=generator) * 155 + 50).round() / 255
    layer.bias.data = -(layer.weight.data * images.mean(0).flatten()).sum(1)
    classifier = wrap(nn.Sequential(nn.Flatten(), layer), classes, size)
    return classifier, images, classifier.logits(images).argmax(1)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_few_classes_are_enough(wrap, run_attack, classes):
    classifier, images, label = linear(wrap, classes)
    for make in (ApgdCe, ApgdDlr, ApgdT):
        found = run_attack(make(steps=20), classifier, images, label, None, 0.5)
        assert (found.rank == 2).all()
    assert _apgd.loss_for(classes) == ("dlr" if classes >= 4 else "margin")


@pytest.mark.parametrize(("classes", "targets"), [(2, 1), (3, 2), (5, 4), (10, 9), (1000, 9)])
def test_the_targets_are_the_other_classes_at_most(classes, targets):
    assert [member.aim for member in ApgdT().members(classes)] == list(range(1, targets + 1))
    assert {member.name for member in ApgdT().members(classes)} == {"apgd-t"}


def test_apgd_t_finds_a_boundary_that_the_highest_class_does_not_show(wrap, run_attack):
    """The second class is near in logits and out of reach; the third is far in logits, and near in pixels."""
    layer = nn.Linear(12, 5)
    layer.weight.data, layer.bias.data = torch.zeros(5, 12), torch.tensor([0.0, -0.1, -1.0, -9.0, -9.0])
    layer.weight.data[2, 0] = 20.0
    images = torch.full((1, 3, 2, 2), 102 / 255)
    layer.bias.data[2] -= 20 * 102 / 255
    classifier = wrap(nn.Sequential(nn.Flatten(), layer), 5, 2)
    found = run_attack(ApgdT(steps=10), classifier, images, torch.tensor([0]), None, 0.1)
    assert found.rank.tolist() == [2]
    assert int(found.saved_logits.argmax(1)) == 2


def test_apgd_in_l1_counts_nothing_outside_its_ball(trained, run_attack):
    for attack in (ApgdCe("l1", 20), ApgdDlr("l1", 20), ApgdT("l1", 20)):
        found = run_attack(attack, trained.classifier, trained.images, trained.labels, None, 9.0)
        assert (BALLS["l1"].size(found.pixels - trained.images) <= 9.0 * (1 + 1e-4)).all()
        assert 0 < (found.rank == 2).float().mean() < 1
    assert ApgdCe("l1").traits.eps == "reach"
    assert ApgdCe("l2").traits == ApgdCe.traits == Traits(norms=("linf", "l2", "l1"), channels=("linf", "l2"))


def test_apgd_is_at_least_as_strong_as_pgd_with_as_many_steps(trained, run_attack):
    for norm, eps in (("linf", 0.03), ("l2", 0.5), ("l1", 5.0)):
        asked = (trained.classifier, trained.images, trained.labels, None, eps)
        pgd, apgd = (run_attack(make(norm=norm, steps=40), *asked) for make in (Pgd, ApgdCe))
        assert int((apgd.rank == 2).sum()) >= int((pgd.rank == 2).sum())
