"""JSMA: the pair search against trying every pair, the rules of the search set, and linear networks by hand."""

import copy

import pytest
import torch
import torchattacks
from torch import nn

from advcli.attacks import jsma
from advcli.attacks.jsma import Jsma, best_pair, best_single
from advcli.errors import UsageError
from advcli.search.flow import drive


class Wide(nn.Module):
    """A network with its logits in float64, as a library takes it."""

    def __init__(self, trained):
        super().__init__()
        self.inner = copy.deepcopy(trained.exact_network)
        self.eval()

    def forward(self, pixels):
        return self.inner.network((pixels.double() - self.inner.mean) / self.inner.std)


def brute_force(gain, drop, free):
    """The best pair of one row by trying all of them in the documented order; none where none is admissible."""
    order = [place for place in sorted(range(len(gain)), key=lambda place: (-gain[place], place)) if free[place]]
    best, pair = 0.0, None
    for rank, first in enumerate(order):
        for second in order[rank + 1 :]:
            gains, drops = gain[first] + gain[second], drop[first] + drop[second]
            if gains > 0 and drops > 0 and gains * drops > best:
                best, pair = gains * drops, [first, second]
    return pair


def drawn(kind, rows, features, generator):
    """Random derivatives: independent, nearly opposite, on a coarse grid (ties), nearly equal, or with equal gains."""
    gain, drop = torch.randn(2, rows, features, generator=generator)
    return {
        "independent": (gain, drop),
        "opposite": (gain, 0.1 * drop - gain),
        "ties": ((gain * 2).round() / 2, (drop * 2).round() / 2),
        "equal": (gain, gain + 0.01 * drop),
        "equal gains": (torch.full_like(gain, 0.5), drop),
        "hopeless": (-gain.abs(), drop),
    }[kind]


@pytest.mark.parametrize("kind", ["independent", "opposite", "ties", "equal", "equal gains", "hopeless"])
@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
def test_the_pair_is_the_one_that_trying_all_finds(kind, share):
    generator = torch.Generator().manual_seed(0)
    for features in (2, 3, 5, 12, 30, 48):
        for _ in range(4):
            gain, drop = drawn(kind, 5, features, generator)
            free = torch.rand(5, features, generator=generator) < share
            pairs, found = best_pair(gain, drop, free)
            for row in range(5):
                wanted = brute_force(gain[row].double().tolist(), drop[row].double().tolist(), free[row].tolist())
                assert (pairs[row].tolist() if found[row] else None) == wanted


def test_a_search_in_small_blocks_finds_the_same(monkeypatch):
    gain, drop = drawn("opposite", 7, 500, torch.Generator().manual_seed(1))
    free = torch.ones_like(gain, dtype=torch.bool)
    whole = best_pair(gain, drop, free)
    monkeypatch.setattr(jsma, "_PAIRS_AT_ONCE", 50)
    blocks = best_pair(gain, drop, free)
    assert torch.equal(whole[0], blocks[0])
    assert torch.equal(whole[1], blocks[1])


def test_a_row_is_searched_as_if_it_were_alone():
    gain, drop = drawn("independent", 9, 200, torch.Generator().manual_seed(2))
    free = torch.rand(9, 200, generator=torch.Generator().manual_seed(3)) < 0.5
    pairs, _ = best_pair(gain, drop, free)
    for row in range(9):
        alone = slice(row, row + 1)
        assert torch.equal(best_pair(gain[alone], drop[alone], free[alone])[0], pairs[alone])


def test_the_pairs_of_a_large_picture_take_no_square_of_memory():
    gain, drop = drawn("independent", 2, 3 * 224 * 224, torch.Generator().manual_seed(4))
    pairs, found = best_pair(gain, drop, torch.ones_like(gain, dtype=torch.bool))
    values = gain.double() * drop.double()
    for row in range(2):
        sums = [values_of[row, pairs[row]].double().sum() for values_of in (gain, drop)]
        assert found[row]
        assert sums[0] * sums[1] >= 4 * values[row].where(gain[row] > 0, 0).topk(2).values[1]


@pytest.mark.parametrize("share", [1.0, 0.3, 0.0])
def test_the_single_feature_is_the_one_that_trying_all_finds(share):
    generator = torch.Generator().manual_seed(5)
    for kind in ("independent", "ties", "hopeless"):
        gain, drop = drawn(kind, 20, 30, generator)
        free = torch.rand(20, 30, generator=generator) < share
        chosen, found = best_single(gain, drop, free)
        for row in range(20):
            fits = [place for place in range(30) if free[row, place] and gain[row, place] > 0 and drop[row, place] > 0]
            wanted = max(
                fits, key=lambda place: (float(gain[row, place]) * float(drop[row, place]), -place), default=None
            )
            assert (int(chosen[row]) if found[row] else None) == wanted


@pytest.fixture
def two_sides(wrap):
    """Make a network of two classes on 4 x 4 pixels: a feature that rises by 1 raises class 1's lead by its slope."""

    def make(slopes, lead):
        """Slopes (48,); class 0 leads by ``lead`` where all features are 0.5."""
        layer = nn.Linear(48, 2)
        layer.weight.data = torch.stack([-slopes, slopes]) / 2
        layer.bias.data = torch.tensor([float(lead + slopes.sum() / 2), 0.0])
        return wrap(nn.Sequential(nn.Flatten(), layer), classes=2, size=4)

    return make


@pytest.fixture
def towards_one(make_attempts):
    """Attack gray pictures of class 0 toward class 1."""

    def run(attack, classifier, images=None, **options):
        images = torch.full((1, 3, 4, 4), 0.5) if images is None else images
        label = torch.zeros(len(images), dtype=torch.int64)
        return drive(make_attempts(attack, classifier, images, label, label + 1), **options)

    return run


SLOPES = torch.randn(48, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("variant", ["pair", "single"])
@pytest.mark.parametrize("theta", [1.0, -1.0])
@pytest.mark.parametrize("lead", [0.4, 2.0, 5.0])
def test_the_steepest_features_go_to_the_end_of_their_range_until_the_target_leads(
    two_sides, towards_one, variant, theta, lead
):
    gains = 0.5 * SLOPES * theta
    ranked = gains.sort(descending=True)
    per_step = 2 if variant == "pair" else 1
    steps = next(step for step in range(1, 24) if ranked.values[: per_step * step].sum() > lead)
    (outcome,) = towards_one(Jsma(theta=theta, gamma=1.0, variant=variant), two_sides(SLOPES, lead))
    expected = torch.full((48,), 0.5)
    expected[ranked.indices[: per_step * steps]] = float(theta > 0)
    assert torch.equal(outcome.pixels.flatten(), expected)
    assert outcome.reached
    assert outcome.steps == steps
    assert outcome.distance == per_step * steps
    assert (outcome.forward_passes, outcome.backward_passes) == (steps + 1, 2 * steps)


def test_a_feature_is_chosen_again_until_it_is_saturated(two_sides, towards_one):
    slopes = torch.full((48,), 0.01)
    slopes[7], slopes[30] = 3.0, 2.0
    (outcome,) = towards_one(Jsma(theta=0.2, gamma=4 / 24), two_sides(slopes, 1e3))
    changed = outcome.pixels.flatten() - 0.5
    # Three steps take the two from 0.5 to 1; the fourth has to take others, of which the first two are chosen.
    assert changed[[7, 30]].tolist() == [0.5, 0.5]
    assert changed.nonzero().flatten().tolist() == [0, 1, 7, 30]
    assert outcome.steps == 4


def test_saturated_features_are_never_chosen(two_sides, towards_one):
    images = torch.full((1, 3, 4, 4), 0.5)
    best = SLOPES.argsort(descending=True)
    images.view(-1)[best[:5]] = 1.0
    (outcome,) = towards_one(Jsma(gamma=2 / 48), two_sides(SLOPES, 1e3), images)
    assert (outcome.pixels - images).flatten().nonzero().flatten().tolist() == sorted(best[5:7].tolist())


@pytest.mark.parametrize(("variant", "gamma", "steps"), [("pair", 0.1, 2), ("single", 0.1, 4), ("pair", 0.125, 3)])
def test_no_more_features_change_than_gamma_allows(two_sides, towards_one, variant, gamma, steps):
    (outcome,) = towards_one(Jsma(gamma=gamma, variant=variant), two_sides(SLOPES, 1e3))
    assert not outcome.reached
    assert outcome.steps == steps
    assert outcome.distance <= gamma * 48


@pytest.mark.parametrize("variant", ["pair", "single"])
def test_a_row_ends_when_no_feature_would_help(two_sides, towards_one, variant):
    (outcome,) = towards_one(Jsma(variant=variant, gamma=1.0), two_sides(-SLOPES.abs(), 1.0))
    assert not outcome.reached
    assert torch.equal(outcome.pixels, torch.full((3, 4, 4), 0.5))
    assert (outcome.steps, outcome.forward_passes, outcome.backward_passes) == (1, 1, 2)
    slopes = torch.where(torch.arange(48) < 4, 1.0, -1.0)
    (outcome,) = towards_one(Jsma(variant=variant, gamma=1.0), two_sides(slopes, 10.0))
    assert outcome.pixels.flatten()[:4].tolist() == [1.0] * 4
    assert outcome.distance == 4


def test_a_step_of_nothing_is_refused():
    with pytest.raises(UsageError, match="theta=0 changes nothing"):
        Jsma(theta=0.0)


def test_it_takes_the_steps_that_torchattacks_takes(smooth, make_attempts):
    """With theta 1 a feature is saturated when it has been chosen, so that the rules of both are the same."""
    few, classes = 6, 5
    images, label = smooth.images[:few], smooth.labels[:few]
    target = (label + 1) % classes
    theirs = torchattacks.JSMA(Wide(smooth), theta=1.0, gamma=0.3)
    theirs.set_mode_targeted_by_label(quiet=True)
    reference = theirs(images, target)
    attack = Jsma(gamma=0.3)
    outcomes = drive(make_attempts(attack, smooth.exact, images, label, target))
    assert all(outcome.reached for outcome in outcomes)
    for outcome, expected in zip(outcomes, reference, strict=True):
        assert torch.equal(outcome.pixels, expected)
