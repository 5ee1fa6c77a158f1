"""What is reported is what is on disk: what is kept of a search, when it is verified, and at which cost."""

import pytest
import torch
from torch import nn

from advcli.core.attack import Traits
from advcli.core.goals import Goal
from advcli.search.outcome import Outcome, certain

LEVEL = 1 / 255
approx = pytest.approx


def test_every_row_costs_what_it_needs(on_flat, attacks, levels):
    # 124.3, 125.6, 126.9, 128.2: four steps; the looks at all points, and one at the picture.
    found = on_flat(attacks["Brighten"](1.3), 123, 127, 60)
    assert levels(found.pixels) == approx([128.2, 128.3, 60 + 20 * 1.3], abs=1e-3)
    assert levels(found.saved) == approx([128, 128, 86], abs=1e-3)
    assert found.rank.tolist() == [2, 2, 0]
    assert found.forward_passes.tolist() == [5, 2, 21]
    assert found.backward_passes.tolist() == [4, 1, 20]
    assert found.verification_passes.tolist() == [1, 1, 0]  # 86 is a whole level: the point is its own picture
    assert found.steps.tolist() == [4, 1, 20]
    assert (found.distance * 255).tolist() == approx([5.2, 1.3, 26], abs=1e-3)  # of the float point


def test_a_point_that_is_its_own_picture_is_not_looked_at_twice(on_flat, attacks, levels):
    found = on_flat(attacks["Brighten"](2.0), 123, 60)  # whole levels: 125, 127, 129
    assert levels(found.saved) == approx([129, 100])
    assert torch.equal(found.pixels, found.saved)
    assert found.rank.tolist() == [2, 0]
    assert torch.equal(found.logits, found.saved_logits)
    assert found.verification_passes.tolist() == [0, 0]


def test_what_rounding_undoes_goes_on(on_flat, attacks, levels):
    # 127.2 is dark; 127.4 is bright, but its picture is 127 again; 127.6 is bright, and so is its picture.
    found = on_flat(attacks["Brighten"](0.2), 127)
    assert levels(found.pixels) == approx([127.6], abs=1e-3)
    assert found.rank.tolist() == [2]
    assert (found.forward_passes.tolist(), found.verification_passes.tolist()) == ([4], [2])
    # Where the steps end too early, the perturbation at a larger scale is a picture that is bright.
    found = on_flat(attacks["Brighten"](0.2, steps=2), 127)
    assert levels(found.pixels) == approx([127.4], abs=1e-3)
    assert levels(found.saved) == approx([128])
    assert found.rank.tolist() == [2]
    assert found.verification_passes.tolist() == [1 + 3]  # the scales in two groups
    # Where the ball ends too early as well, what was found in float is kept, and said to be no more than that.
    found = on_flat(attacks["Brighten"](0.2, steps=2), 127, eps=0.45)
    assert levels(found.pixels) == approx([127.4], abs=1e-3)
    assert found.rank.tolist() == [1]
    assert found.logits.argmax(1).tolist() == [1]
    assert found.saved_logits.argmax(1).tolist() == [0]


def test_successes_that_rounding_undoes_are_verified_ever_less_often(on_flat, attacks, levels):
    climb = tuple(127.31 + 0.01 * k for k in range(17))  # bright, and dark as pictures, all of them
    for early_exit in (True, False):
        found = on_flat(attacks["Visit"](climb), 100, eps=27.48, early_exit=early_exit)
        assert found.rank.tolist() == [1]
        # The 1st, 2nd, 4th and 16th; the last; and five scales of it.
        assert found.verification_passes.tolist() == [4 + 1 + 5]
        # What survives of the fourth is found with early exit and without.
        found = on_flat(attacks["Visit"]((*climb[:3], 127.6, *climb)), 100, eps=28, early_exit=early_exit)
        assert found.rank.tolist() == [2]
        assert levels(found.saved) == approx([128])


def test_a_picture_that_is_misclassified_by_a_hair_does_not_count(wrap, on_flat, attacks, levels):
    class Hair(nn.Module):
        def forward(self, pixels):
            above = pixels.mean((1, 2, 3)) * 255 - 127.5
            return torch.stack([1e5 - above, 1e5 + above], 1)

    found = on_flat(attacks["Brighten"](1, steps=30), 127, classifier=wrap(Hair()))
    assert found.rank.tolist() == [2]
    assert levels(found.saved)[0] > 127.5 + 5 - 1  # a margin of 1e-4 of the largest logit
    assert not certain(Goal.of(0), torch.tensor([[1e5, 1e5 + 9]])).any()
    assert certain(Goal.of(0), torch.tensor([[1e5, 1e5 + 11]])).all()


def test_without_early_exit_the_latest_success_is_kept(on_flat, attacks, levels):
    visit = attacks["Visit"]
    early = on_flat(visit((128, 130, 140, 127, 126)), 100)
    late = on_flat(visit((128, 130, 140, 127, 126)), 100, early_exit=False)
    assert levels(early.saved) == approx([128])
    assert levels(late.saved) == approx([140])
    assert torch.equal(early.rank, late.rank)
    assert (late.forward_passes.tolist(), late.verification_passes.tolist()) == (
        [6],
        [0],
    )  # whole levels: no other picture
    late = on_flat(visit((128.2, 130.2, 140.2)), 100, early_exit=False)
    assert late.verification_passes.tolist() == [1]  # the last
    # A success in float alone does not replace a picture.
    late = on_flat(visit((128.2, 127.4)), 100, early_exit=False, eps=28.3)
    assert levels(late.saved) == approx([128])
    assert levels(late.pixels) == approx([127.4], abs=1e-3)
    assert late.verification_passes.tolist() == [1 + 2]  # the last, and its first scales


def test_a_row_that_fails_reports_its_best_point(on_flat, attacks, levels):
    for early_exit in (True, False):
        found = on_flat(attacks["Visit"]((110, 125, 120, 60)), 100, early_exit=early_exit)
        assert found.rank.tolist() == [0]
        assert levels(found.pixels) == approx([125])


def test_the_nearest_success_is_kept_where_an_attack_asks_for_it(on_flat, attacks, levels):
    nearest = attacks["VisitNearest"]
    visits = (140.2, 127, 130.2, 129.2, 127.9, 135.2, 128.4, 131.2)
    found = on_flat(nearest(visits), 100, 120)
    assert levels(found.saved) == approx([128, 128])
    assert levels(found.pixels) == approx([127.9, 127.9], abs=1e-4)
    assert (found.distance * 255).tolist() == approx([27.9, 7.9], abs=1e-3)
    assert (found.forward_passes.tolist(), found.verification_passes.tolist()) == ([9, 9], [1, 1])
    # What rounding undid is looked at again a little farther away, and is nearer than the first success all the same.
    found = on_flat(nearest((140.2, 127.4)), 100)
    assert levels(found.pixels) == approx([127.4], abs=1e-3)
    assert levels(found.saved) == approx([128])
    assert found.verification_passes.tolist() == [1 + 2]


def test_verification_is_cheap(trained, run_attack):
    from advcli.attacks.pgd import Pgd

    for norm, eps in (("linf", 0.05), ("l2", 0.8), ("l1", 9.0)):
        found = run_attack(
            Pgd(norm=norm, steps=30), trained.classifier, trained.images, trained.labels, None, eps, early_exit=False
        )
        assert found.rank.sum() > 40
        assert found.verification_passes.double().mean() <= 3


class Lies(nn.Module):
    """Brightness, but in a low precision it sees things brighter, or darker, than they are."""

    def __init__(self, by):
        super().__init__()
        self.by = by
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixels):
        low = self.weight.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
        seen = pixels.double().mean((1, 2, 3)) * 255 + (self.by if low else 0)
        return torch.stack([127.3 - seen, seen - 127.3], 1).float()


def test_what_a_low_precision_finds_is_confirmed_in_full(wrap, on_flat, attacks, levels):
    brighten = attacks["Brighten"]
    found = on_flat(brighten(), 120, classifier=wrap(Lies(5), precision="bf16"))
    assert found.rank.tolist() == [2]
    assert levels(found.saved)[0] >= 128
    # Claimed from 123 on; the first, second, fourth and sixteenth claim are verified, the last with success.
    assert found.verification_passes.tolist() == [4]
    found = on_flat(brighten(steps=5), 120, classifier=wrap(Lies(5), precision="bf16"))
    assert found.rank.tolist() == [0]
    assert torch.equal(found.logits, wrap(Lies(0)).logits(found.pixels))


def test_what_a_low_precision_overlooks_is_found_at_the_end(wrap, on_flat, attacks, levels):
    found = on_flat(attacks["Brighten"](steps=10), 120, classifier=wrap(Lies(-50), precision="bf16"))
    assert levels(found.saved)[0] >= 128
    assert found.rank.tolist() == [2]


def test_a_real_low_precision_search_is_judged_in_full(trained, run_attack, wrap):
    from advcli.attacks.pgd import Pgd

    classifier = wrap(trained.network, classes=5, size=16, precision="bf16")
    for early_exit in (True, False):
        found = run_attack(Pgd(steps=10), classifier, trained.images, trained.labels, None, 0.06, early_exit=early_exit)
        assert torch.equal(found.logits, classifier.logits(found.pixels))
        assert torch.equal(found.saved_logits, classifier.logits(found.saved))
        assert torch.equal(found.rank == 2, certain(found.goal, found.saved_logits))
        assert (found.rank == 2).sum() > 10
        assert found.verification_passes.double().mean() <= 3


def test_a_saved_picture_read_back_is_misclassified_as_it_was(trained, run_attack):
    from advcli.attacks.pgd import Pgd

    found = run_attack(Pgd(steps=10), trained.classifier, trained.images, trained.labels, None, 0.06)
    read = (found.saved * 255).round().to(torch.uint8).float() / 255
    assert torch.equal(read, found.saved)
    for places in (slice(0, 1), slice(5, 12), slice(0, 40)):
        assert torch.equal(trained.classifier.logits(read[places]), found.saved_logits[places])
    wrong = trained.network(read).argmax(1) != trained.labels  # by the network as it was trained
    assert torch.equal(wrong, found.misclassified_as_saved)
    assert torch.equal(wrong, found.rank == 2)
    assert wrong.sum() > 10
    assert ((found.saved - trained.images).abs() <= 0.06 + 1e-6).all()


def test_only_successes_that_the_attack_lets_count_do(on_flat, attacks, levels):
    class Confident(attacks["Brighten"]):
        def counts(self, rows, logits):
            return rows.goal.margin(logits) > 10  # five levels beyond the threshold

    found = on_flat(Confident(), 125)
    assert levels(found.pixels) == approx([133], abs=1e-3)
    assert found.rank.tolist() == [2]


def test_a_success_beyond_reach_does_not_count(on_flat, attacks, levels):
    class Roams(attacks["Visit"]):
        traits = Traits(norms=("linf",), needs="scores", eps="reach", cost=(1, 0))

    found = on_flat(Roams((140, 129, 150)), 100, eps=30)
    assert levels(found.pixels) == approx([129])
    assert found.rank.tolist() == [2]
    found = on_flat(Roams((140, 150)), 100, eps=30)
    assert found.rank.tolist() == [0]
    assert levels(found.pixels) == approx([100])  # the best point within reach, not one beyond it


def test_an_image_that_is_not_attacked_is_its_own_outcome(brightness):
    for level, rank in ((100, 0), (200, 2)):
        image = torch.full((3, 8, 8), level / 255)
        outcome = Outcome.unmoved(image, brightness.logits(image[None])[0], 0)
        assert torch.equal(outcome.saved, image)
        assert outcome.rank == rank
        assert outcome.misclassified == (rank == 2)
        assert (outcome.forward_passes, outcome.verification_passes, outcome.distance) == (0, 0, 0.0)
