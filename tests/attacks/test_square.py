"""Square: its schedule and shapes against torchattacks, what holds for every proposal, and what it finds."""

import pytest
import torch
import torchattacks
from scipy import stats

from advcli.attacks.square import Square, two_peaks
from advcli.core.norms import BALLS
from advcli.core.rows import Rows
from advcli.search.flow import drive

EPS = {"linf": 0.03, "l2": 0.8, "l1": 12.0}
NORMS = pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
SIZES = pytest.mark.parametrize("size", [(32, 32), (13, 29), (7, 4), (3, 2), (1, 1)])


def rows_of(count=40, size=(32, 32), eps=0.03, ages=None, keys=None):
    """New rows at random pictures with some values at 0 and 1, without a driver."""
    zero = torch.zeros(count, dtype=torch.int64)
    images = torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.25 + 0.5
    numbers = torch.arange(count) if keys is None else keys
    return Rows(
        index=zero, images=images.clamp(0, 1), eps=torch.full((count,), eps), label=zero, target=zero - 1, aim=zero - 1,
        age=zero if ages is None else ages, budget=zero + (1 << 62), forward_passes=zero, backward_passes=zero,
        key=torch.stack([numbers, zero, zero, zero], 1), drawn=zero, adversarial=images.clamp(0, 1),
    )  # fmt: skip


def begun(attack, **options):
    rows = rows_of(eps=EPS[attack.norm], **options)
    attack.start(rows)
    return rows


class TorchattacksSquare(torchattacks.Square):
    """torchattacks' schedule and shapes, without a network to attack."""

    device = "cpu"

    def __init__(self, norm, queries, p_init, rescale):
        self.norm, self.n_queries, self.p_init, self.rescale_schedule = norm, queries, p_init, rescale


class RepairedSquare(torchattacks.Square):
    """torchattacks' attack, whose l2 norms fail on the strides that it makes."""

    def normalize_delta(self, x):
        return x / (self.lp_norm(x) + 1e-12)

    def lp_norm(self, x):
        return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize(("steps", "p_init"), [(10000, 0.8), (5000, 0.8), (300, 0.8), (10000, 0.05)])
def test_windows_shrink_as_in_torchattacks(steps, p_init, rescale):
    ages = torch.arange(0, steps, max(1, steps // 997))
    reference = TorchattacksSquare("Linf", steps, p_init, rescale)
    for norm in ("linf", "l2"):
        rows = rows_of(len(ages), ages=ages)
        found = Square(norm=norm, steps=steps, p_init=p_init, rescale_schedule=rescale).window_sides(rows)
        for age, side in zip(ages.tolist(), found.tolist(), strict=True):
            wanted = max(round((reference.p_selection(age) * 32 * 32) ** 0.5), 1 if norm == "linf" else 3)
            assert side == (wanted + (norm == "l2" and wanted % 2 == 0))


def test_the_schedule_is_that_of_the_queries_that_are_allowed():
    rows = rows_of(1, ages=torch.tensor([60]))
    bounded = rows.replace(budget=torch.tensor([100]))
    attack = Square(steps=5000)
    assert attack.window_sides(bounded) == Square(steps=100).window_sides(rows) < attack.window_sides(rows)


@SIZES
@NORMS
def test_windows_fit_into_pictures_of_any_shape(norm, size):
    rows = rows_of(size=size, ages=torch.arange(40) * 200)
    sides = Square(norm=norm, steps=8000).window_sides(rows)
    assert (sides >= 1).all()
    assert (sides <= min(size)).all()
    assert norm == "linf" or (sides % 2 == 1).all()


@pytest.mark.parametrize("side", [2, 3, 4, 5, 6, 9, 29, 44])
def test_the_two_peaks_are_those_of_torchattacks(side):
    torch.manual_seed(0)
    reference = TorchattacksSquare("L2", 1, 0.8, False).eta(side).double()
    assert any(torch.allclose(two_peaks(side), turned, atol=1e-6) for turned in (reference, reference.T))
    assert float(two_peaks(side).norm()) == pytest.approx(1)


def test_peaks_of_one_pixel_are_one():
    assert two_peaks(1).abs().tolist() == [[1.0]]


@SIZES
def test_linf_starts_at_stripes_on_the_surface(size):
    rows = begun(Square(), size=size)
    signs = torch.where(rows.adversarial == (rows.images + 0.03).clamp(0, 1), 1.0, -1.0)
    assert torch.equal(rows.adversarial, (rows.images + 0.03 * signs).clamp(0, 1))
    inside = (rows.images - 0.5).abs() < 0.46  # where 0 and 1 cut nothing off, and the sign can be told
    columns = (signs * inside).sum(2).abs()
    assert torch.equal(columns, inside.sum(2).float())  # one sign per column and color
    assert size == (1, 1) or 0.3 < float((signs[inside] > 0).float().mean()) < 0.7


@SIZES
@NORMS
def test_every_proposal_lies_on_the_surface(norm, size):
    attack = Square(norm=norm, steps=1000)
    rows = begun(attack, size=size, ages=torch.arange(40) * 20)
    for _ in range(5):
        pixels = attack.propose(rows)
        assert 0 <= pixels.min() <= pixels.max() <= 1
        if norm == "linf":
            upper, lower = ((rows.images + sign * 0.03).clamp(0, 1) for sign in (1, -1))
            assert ((pixels == upper) | (pixels == lower)).all()
        else:
            assert (BALLS[norm].size(pixels - rows.images) <= EPS[norm] * (1 + 1e-5)).all()
        rows.adversarial = pixels


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_perturbation_keeps_its_length_where_nothing_is_cut(norm):
    attack = Square(norm=norm, steps=1000)
    rows = rows_of(eps=EPS[norm], ages=torch.arange(40) * 25)
    rows = rows.replace(images=torch.full_like(rows.images, 0.5), adversarial=torch.full_like(rows.images, 0.5))
    attack.start(rows)
    for _ in range(20):
        assert torch.allclose(BALLS[norm].size(rows.adversarial - rows.images), rows.eps, rtol=1e-4)
        rows.adversarial = attack.propose(rows)


def spans(changed):
    """Extent of what changed (H, W): first and last row, first and last column."""
    row, column = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    return int(row[0]), int(row[-1]), int(column[0]), int(column[-1])


def test_a_linf_proposal_changes_one_window_with_one_sign_per_color():
    attack = Square(steps=1000)
    rows = begun(attack, ages=torch.arange(40) * 25)
    sides = attack.window_sides(rows)
    pixels = attack.propose(rows)
    for row in range(40):
        changed = (pixels[row] != rows.adversarial[row]).any(0)
        if changed.any():
            top, bottom, left, right = spans(changed)
            assert max(bottom - top, right - left) < sides[row]
            for color in range(3):
                sign = (pixels[row] - rows.images[row])[color][changed].sign()
                assert len(set(sign.tolist()) - {0.0}) <= 1


def test_an_l2_proposal_empties_one_window_into_another():
    attack = Square(norm="l2", p_init=0.02, steps=1000)
    rows = begun(attack)
    rows = rows.replace(images=torch.full_like(rows.images, 0.5), adversarial=torch.full_like(rows.images, 0.5))
    attack.start(rows)
    side = int(attack.window_sides(rows)[0])
    before = rows.adversarial - rows.images
    after = attack.propose(rows) - rows.images
    whole = 0
    for row in range(40):
        changed = ((after[row] - before[row]).abs() > 1e-5).any(0)
        emptied = (after[row].abs() < 1e-7).all(0) & (before[row].abs() > 1e-5).any(0)
        assert int(changed.sum()) <= 2 * side * side
        assert emptied.sum() <= side * side
        assert torch.allclose(after[row][:, ~changed], before[row][:, ~changed], atol=1e-5)
        sizes = [delta[row].square().sum((1, 2)) for delta in (before, after)]
        assert torch.allclose(*sizes, rtol=1e-4)  # each color keeps what it has
        whole += int(emptied.sum() == side * side)
    assert whole > 20  # windows that do not overlap


@NORMS
def test_windows_lie_anywhere_in_the_picture(norm):
    """Every place for a 3 x 3 window in a picture of 8 x 9 is as likely as every other, the last ones too."""
    attack = Square(norm=norm, p_init=9 / 72, steps=10**9)
    rows = begun(attack, count=3000, size=(8, 9))
    rows = rows.replace(images=torch.full_like(rows.images, 0.5))
    rows.adversarial = rows.images - (0.03 if norm == "linf" else 0.0)
    assert (attack.window_sides(rows) == 3).all()
    counts = torch.zeros(6, 7)
    for pixels, base in zip(attack.propose(rows), rows.adversarial, strict=True):
        changed = (pixels != base).any(0)
        if changed.any():
            top, _, left, _ = spans(changed)
            counts[top, left] += 1
    assert stats.chisquare(counts.flatten().numpy()).pvalue > 1e-3


@NORMS
def test_draws_belong_to_the_row(norm):
    attack = Square(norm=norm, steps=1000)
    keys = torch.tensor([5, 5, 6, 7, 8])
    rows = begun(attack, count=5, keys=keys)
    rows = rows.replace(images=rows.images[:1].repeat(5, 1, 1, 1), adversarial=rows.images[:1].repeat(5, 1, 1, 1))
    attack.start(rows)
    alone = rows[torch.tensor([3])]
    pixels = attack.propose(rows)
    assert torch.equal(pixels[0], pixels[1])
    assert len({tuple(one.flatten().tolist()) for one in pixels}) == 4
    assert torch.equal(attack.propose(alone)[0], pixels[3])


@pytest.mark.parametrize("target", [-1, 2])
def test_a_higher_margin_and_any_success_are_accepted(target):
    rows = rows_of(4)
    rows = rows.replace(target=torch.full((4,), target))
    rows.margin = torch.tensor([-2.0, -2.0, 3.0, 3.0], dtype=torch.float64)
    margins = torch.tensor([-1.0, -2.0, 1.0, -0.5])
    logits = torch.zeros(4, 3) - 9
    logits[:, 0] = 0.0  # the label; the margin is that of class 2 over it
    logits[:, 2] = margins
    assert Square().accept(rows, rows.images, logits).tolist() == [True, False, True, False]
    assert torch.equal(rows.margin, margins.double())


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.12), ("l2", 3.0)])
@pytest.mark.parametrize("targeted", [False, True])
def test_it_finds_as_much_as_torchattacks(trained, make_attempts, norm, eps, targeted):
    """As many successes as theirs among 40 pictures, up to chance."""
    target = (trained.labels + 1) % 5 if targeted else trained.labels
    attack = Square(norm=norm, steps=120)
    aimed = target if targeted else None
    attempts = make_attempts(attack, trained.classifier, trained.images, trained.labels, aimed, eps=eps)
    ours = sum(outcome.reached for outcome in drive(attempts))
    reference = RepairedSquare(trained.network, norm=norm.capitalize(), eps=eps, n_queries=120, loss="margin")
    if targeted:
        reference.set_mode_targeted_by_label(quiet=True)
    found = trained.network(reference(trained.images, target)).argmax(1)
    theirs = int(((found == target) == targeted).sum())
    assert stats.fisher_exact([[ours, 40 - ours], [theirs, 40 - theirs]]).pvalue > 0.01
    assert 3 < ours < 40


@NORMS
def test_proposals_that_are_looked_at_together_change_nothing(trained, make_attempts, norm):
    attack = Square(norm=norm, steps=40)
    attempts = make_attempts(attack, trained.classifier, trained.images[:5], trained.labels[:5], eps=3 * EPS[norm])
    all_at_once, one_by_one = (drive(attempts, batch_size=size) for size in (5, 1))
    for first, second in zip(all_at_once, one_by_one, strict=True):
        assert torch.equal(first.pixels, second.pixels)
        assert first.forward_passes == second.forward_passes


def test_with_more_steps_nothing_is_left_of_a_linear_network(half_space, make_attempts):
    problem = half_space(9)
    attack = Square(steps=2000)
    eps = 2.5 * float(problem.distances("linf").amin(1).max())
    attempts = make_attempts(attack, problem.classifier, problem.images, problem.label, eps=eps)
    assert all(outcome.reached for outcome in drive(attempts))
