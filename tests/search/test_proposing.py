"""Attacks that propose and accept: the result does not depend on how many proposals are looked at together."""

import copy

import pytest
import torch

from advcli.core.attack import Traits
from advcli.errors import ContractError
from advcli.models.classifier import Classifier
from advcli.search.speculating import Speculation


def looking_ahead(classifier, proposals):
    """The same classifier, with blocks that hold so many proposals of one row."""
    changed = copy.copy(classifier)
    changed.block = max(16, proposals)
    return changed


@pytest.mark.parametrize("early_exit", [True, False])
@pytest.mark.parametrize("eps", [50, 20])
def test_the_result_is_the_same_for_any_number_of_proposals_at_once(on_flat, brightness, attacks, early_exit, eps):
    asked = (attacks["Climb"](steps=15), 100, 110, 90, 120, 127, 60)
    found = [
        on_flat(*asked, eps=100, classifier=looking_ahead(brightness, ahead), batch_size=size, early_exit=early_exit)
        for ahead, size in ((16, 1), (16, 6), (64, 4), (200, 1))
    ]
    assert found[0].rank.unique().numel() > 1
    for other in found[1:]:
        assert found[0].differences(other) == []


def test_a_rejected_proposal_changes_nothing_but_age_and_noise(on_flat, attacks, levels):
    history = []

    class Watched(attacks["Climb"]):
        def accept(self, rows, pixels, logits):
            mask = super().accept(rows, pixels, logits)
            history.append((rows.age.clone(), rows.accepted.clone(), mask))
            return mask

    on_flat(Watched(), *[100] * 64, eps=100, early_exit=False)  # one proposal each at a time
    assert all(len(age) == 64 for age, _, _ in history)
    accepted = torch.zeros(64, dtype=torch.int64)
    rejected = 0
    for turn, (age, counted, mask) in enumerate(history):
        assert (age == max(0, turn - 1)).all()
        assert torch.equal(counted, accepted + 1)
        accepted = torch.where(mask | (turn == 0), counted, accepted)
        rejected += int((~mask).sum())
    assert rejected > 64


def test_the_starting_point_is_the_first_proposal(on_flat, attacks):
    seen = []

    class Watched(attacks["Climb"]):
        def accept(self, rows, pixels, logits):
            seen.append(pixels)
            return super().accept(rows, pixels, logits)

    found = on_flat(Watched(steps=1), *[100] * 20)
    assert torch.equal(seen[0], torch.full((20, 3, 8, 8), 100 / 255))
    assert found.forward_passes.tolist() == [2] * 20
    assert found.steps.tolist() == [1] * 20


def test_proposals_beyond_the_first_accepted_are_not_counted(on_flat, attacks, brightness):
    found = on_flat(
        attacks["Climb"](steps=10), 100, eps=100, classifier=looking_ahead(brightness, 64), early_exit=False
    )
    assert found.forward_passes.tolist() == [11]
    assert found.backward_passes.tolist() == [0]


class Changes:
    traits = Traits(norms=("linf",), needs="scores", cost=(1, 0))
    steps = 3

    def start(self, rows):
        rows.memory = rows.eps

    def propose(self, rows):
        return rows.adversarial

    def accept(self, rows, pixels, logits):
        return rows.eps > 0


def rogue(**methods):
    return type("Rogue", (Changes,), methods)()


def assigned(self, rows):
    rows.memory = rows.memory + 1
    return rows.adversarial


def in_place(self, rows):
    rows.memory.add_(1)
    return rows.adversarial


def drawn(self, rows, pixels, logits):
    return rows.noise.uniform() > 0.5


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"propose": assigned}, r"propose changed rows\.memory; only accept may"),
        ({"propose": in_place}, r"propose changed rows\.memory; only accept may"),
        ({"propose": lambda self, rows: rows.images + 1}, r"left \[0, 1\]"),
        ({"propose": lambda self, rows: rows.images[:, :2]}, "gave pixels"),
        ({"accept": drawn}, "drew random numbers in accept; propose draws"),
        ({"accept": lambda self, rows, pixels, logits: rows.eps}, "accept gave .* not a mask"),
    ],
)
def test_what_proposals_may_not_do_is_refused(on_flat, methods, message):
    with pytest.raises(ContractError, match=message):
        on_flat(rogue(**methods), 100)


def test_rows_that_are_finished_end_between_proposals(on_flat, attacks, brightness):
    class Tired(attacks["Climb"]):
        def finished(self, rows):
            return rows.age >= 5

    for ahead in (16, 64):
        found = on_flat(Tired(), 20, eps=100, classifier=looking_ahead(brightness, ahead))
        assert found.steps.tolist() == [5]
        assert found.forward_passes.tolist() == [6]


def told(classifier, accepted, of=100):
    """What is known after many rounds in which so many of a hundred proposals were accepted."""
    speculation = Speculation(classifier)
    for _ in range(100):
        speculation.learn(of, accepted)
    return speculation


def test_the_rarer_a_proposal_is_accepted_the_farther_one_looks_ahead(brightness):
    assert brightness.block == 16
    rates = (100, 60, 30, 10, 3, 0)
    ahead = [told(brightness, rate).ahead(1) for rate in rates]
    assert ahead == sorted(ahead)
    assert ahead[1] <= 16 < ahead[-1] == 64  # a block holds sixteen at no cost
    # A block that holds every row once is not filled with repeats, and four blocks are the most.
    assert [told(brightness, 5).ahead(rows) for rows in (9, 16, 33, 64, 300)] == [
        pytest.approx(5, abs=2), pytest.approx(3, abs=1), 1, 1, 1
    ]  # fmt: skip


def test_where_rows_are_shown_one_by_one_no_proposal_is_looked_at_in_vain(brightness):
    single = copy.copy(brightness)
    single.block = 1
    assert [told(single, 0).ahead(rows) for rows in (1, 2, 9)] == [1, 1, 1]


def test_a_large_picture_is_not_looked_at_in_vain(make_card):
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    small, large = (Classifier(network, make_card(3, side)) for side in (32, 224))
    assert told(large, 20).ahead(9) < told(small, 20).ahead(9)
