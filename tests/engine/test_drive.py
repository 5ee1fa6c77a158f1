"""The driver: early exit that changes nothing, results that do not depend on company, and contracts that are held."""

from dataclasses import dataclass, fields
from typing import ClassVar

import pytest
import torch
from torch import nn

from advcli.attacks.pgd import Pgd
from advcli.engine.drive import drive
from advcli.engine.outcome import AS_SAVED, IN_FLOAT, NOTHING, Outcome, certain
from advcli.errors import ContractError

LEVEL = 1 / 255
THRESHOLD = 127.3  # of the mean level, above which a picture is bright


class Brightness(nn.Module):
    """Logits of dark and bright: the mean's distance to the threshold, in levels, and its negative."""

    def forward(self, pixels):
        above = pixels.double().mean((1, 2, 3)) * 255 - THRESHOLD
        return torch.stack([-above, above], 1).float()


@pytest.fixture(scope="module")
def brightness(wrap):
    return wrap(Brightness())


@pytest.fixture(scope="module")
def dark(make_rows):
    """Make flat pictures of the given levels, all dark."""

    def make(*levels, eps=50):
        images = (torch.tensor(levels).float() / 255).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
        return make_rows(images, torch.zeros(len(levels), dtype=torch.int64), eps=eps * LEVEL)

    return make


@dataclass(frozen=True)
class Brighten:
    """Add some levels to every value at every step, one pull each."""

    by: float = 1.0
    steps: int = 20

    def start(self, rows, noise):
        """Begin at the image."""

    def step(self, rows, logits, pull):
        gradient = pull(rows.goal.ascent(logits))
        rows.adversarial = (rows.adversarial + gradient.sign() * self.by * LEVEL).clamp(0, 1)


@dataclass(frozen=True)
class Visit:
    """Go through the given levels, whatever the image; ask for no gradient."""

    levels: tuple
    keeps: str = "first"

    needs: ClassVar[str] = "scores"
    norms: ClassVar[tuple] = ("linf",)

    @property
    def steps(self):
        return len(self.levels)

    def start(self, rows, noise):
        """Begin at the image."""

    def step(self, rows, logits, pull):
        levels = torch.tensor(self.levels)[rows.age]
        rows.adversarial = (levels * LEVEL).view(-1, 1, 1, 1).expand_as(rows.images)


def level(pixels):
    return (pixels.double().mean((1, 2, 3)) * 255).tolist()


def assert_same(first, second):
    for field in fields(Outcome):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name)), field.name


def test_every_row_costs_what_it_needs(brightness, dark):
    # 124.3, 125.6, 126.9, 128.2: three steps; the looks at all four points and at the one picture.
    outcome = drive(Brighten(1.3), brightness, dark(123, 127, 60), in_flight=8)
    assert level(outcome.pixels) == pytest.approx([128.2, 128.3, 60 + 20 * 1.3], abs=1e-3)
    assert level(outcome.saved) == pytest.approx([128, 128, 86], abs=1e-3)
    assert outcome.rank.tolist() == [AS_SAVED, AS_SAVED, NOTHING]
    assert outcome.passes.tolist() == [5 + 1, 2 + 1, 21 + 1]
    assert outcome.pulls.tolist() == [4, 1, 20]
    assert (outcome.distance * 255).tolist() == pytest.approx([5, 1, 26], abs=1e-3)


def test_what_rounding_undoes_goes_on(brightness, dark):
    # 127.2 is dark; 127.4 is bright, but its picture is 127 again; 127.6 is bright, and so is its picture.
    outcome = drive(Brighten(0.2), brightness, dark(127), in_flight=8)
    assert level(outcome.pixels) == pytest.approx([127.6], abs=1e-3)
    assert outcome.rank.tolist() == [AS_SAVED]
    assert outcome.passes.tolist() == [4 + 2]
    # Where the budget ends too early, what was found in float is kept, and said to be no more than that.
    outcome = drive(Brighten(0.2, steps=2), brightness, dark(127), in_flight=8)
    assert level(outcome.pixels) == pytest.approx([127.4], abs=1e-3)
    assert level(outcome.saved) == pytest.approx([127])
    assert outcome.rank.tolist() == [IN_FLOAT]
    assert outcome.logits.argmax(1).tolist() == [1]
    assert outcome.saved_logits.argmax(1).tolist() == [0]


def test_a_picture_that_fools_by_a_hair_does_not_count_as_fooling(wrap, dark):
    class Hair(nn.Module):
        def forward(self, pixels):
            above = pixels.mean((1, 2, 3)) * 255 - 127.5
            return torch.stack([1e5 - above, 1e5 + above], 1)

    classifier = wrap(Hair())
    rows = dark(127)
    outcome = drive(Brighten(1, steps=30), classifier, rows, in_flight=1)
    assert outcome.rank.tolist() == [AS_SAVED]
    assert level(outcome.saved)[0] > 127.5 + 5 - 1  # a margin of 1e-4 of the largest logit
    assert not certain(rows.goal, torch.tensor([[1e5, 1e5 + 9]])).any()
    assert certain(rows.goal, torch.tensor([[1e5, 1e5 + 11]])).all()


def test_without_early_exit_the_last_success_is_kept(brightness, dark):
    steps = Visit((128, 130, 140, 127, 126))
    early = drive(steps, brightness, dark(100), in_flight=1)
    late = drive(steps, brightness, dark(100), in_flight=1, early_exit=False)
    assert level(early.saved) == pytest.approx([128])
    assert level(late.saved) == pytest.approx([140])
    assert torch.equal(early.rank, late.rank)
    assert late.passes.tolist() == [6 + 3]
    # A success in float alone does not replace one that is saved.
    late = drive(Visit((128, 127.4)), brightness, dark(100), in_flight=1, early_exit=False)
    assert level(late.saved) == pytest.approx([128])
    # Without any, it is where the search ended.
    late = drive(Visit((120, 110)), brightness, dark(100), in_flight=1, early_exit=False)
    assert level(late.pixels) == pytest.approx([110])


def test_the_nearest_success_is_kept_where_an_attack_asks_for_it(brightness, dark):
    levels = (140, 127, 130, 129, 127.4, 135, 128.4, 131)
    outcome = drive(Visit(levels, keeps="smallest"), brightness, dark(100, 120), in_flight=8)
    assert level(outcome.saved) == pytest.approx([128, 128])
    assert level(outcome.pixels) == pytest.approx([128.4, 128.4], abs=1e-4)
    assert (outcome.distance * 255).tolist() == pytest.approx([28, 8], abs=1e-3)
    assert outcome.passes.tolist() == [9 + 5, 9 + 5]  # 140, 130, 129, 127.4 and 128.4 were nearer than any before
    # Saved counts for more than near.
    outcome = drive(Visit((127.4, 150), keeps="smallest"), brightness, dark(100), in_flight=8)
    assert level(outcome.saved) == pytest.approx([150])
    assert outcome.rank.tolist() == [AS_SAVED]


def test_rows_that_are_finished_leave(brightness, dark):
    class Tired(Brighten):
        def finished(self, rows):
            return rows.age >= (rows.images[:, 0, 0, 0] * 255).round().long() - 100

    outcome = drive(Tired(), brightness, dark(100, 102, 105, 126), in_flight=2)
    assert level(outcome.pixels) == pytest.approx([100, 104, 110, 128], abs=1e-3)
    assert outcome.pulls.tolist() == [0, 2, 5, 2]
    assert outcome.passes.tolist() == [1 + 1, 3 + 1, 6 + 1, 3 + 1]


@pytest.mark.parametrize("pulls", [0, 2, 5])
def test_a_step_may_pull_as_often_as_it_likes(brightness, dark, pulls):
    class Pulls(Brighten):
        def step(self, rows, logits, pull):
            found = [pull(torch.eye(2)[[k % 2] * len(rows)]) for k in range(pulls)]
            for k, gradient in enumerate(found):
                sign = 1 if k % 2 else -1
                assert torch.equal(gradient.sign(), torch.full_like(gradient, sign))
            rows.adversarial = (rows.adversarial + LEVEL).clamp(0, 1)

    outcome = drive(Pulls(), brightness, dark(125, 120), in_flight=8)
    assert outcome.pulls.tolist() == [3 * pulls, 8 * pulls]
    assert outcome.passes.tolist() == [4 + 1, 9 + 1]


def test_places_are_refilled_and_what_a_row_remembers_follows_it(brightness, dark):
    seen = []

    class Remembers(Brighten):
        def start(self, rows, noise):
            rows.home = (rows.images[:, 0, 0, 0] * 255).round()
            rows.walked = torch.zeros(len(rows), 2)

        def step(self, rows, logits, pull):
            seen.append(rows.age.tolist())
            assert torch.equal(rows.home, (rows.images[:, 0, 0, 0] * 255).round())
            assert torch.equal(rows.walked[:, 1], rows.age.float())
            assert torch.equal(rows.goal.label, rows.label)
            rows.walked = rows.walked + torch.tensor([0.0, 1.0])
            rows.adversarial = ((rows.home + rows.walked[:, 1]) * LEVEL).view(-1, 1, 1, 1).expand_as(rows.images)

    outcome = drive(Remembers(), brightness, dark(127, 121, 126, 90, 125, 127, 124), in_flight=2)
    assert level(outcome.saved) == pytest.approx([128, 128, 128, 110, 128, 128, 128])
    assert outcome.passes.tolist() == [2 + 1, 8 + 1, 3 + 1, 21 + 1, 4 + 1, 2 + 1, 5 + 1]
    assert all(len(ages) <= 2 for ages in seen)
    assert any(len(set(ages)) == 2 for ages in seen)
    assert sum(map(len, seen)) == 1 + 7 + 2 + 20 + 3 + 1 + 4


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("early_exit", [True, False])
def test_how_many_are_in_flight_changes_nothing(trained, make_rows, norm, early_exit):
    eps = torch.linspace(0.01, 0.1, 40) * {"linf": 1, "l2": 16}[norm]
    rows = make_rows(trained.images, trained.labels, eps=eps)
    attack = Pgd(norm=norm, steps=7)
    outcomes = [drive(attack, trained.classifier, rows, in_flight=n, early_exit=early_exit) for n in (1, 5, 64)]
    assert outcomes[0].rank.unique().numel() > 1  # some fall, some do not
    for outcome in outcomes[1:]:
        assert_same(outcomes[0], outcome)


def test_the_order_of_the_rows_changes_nothing(trained, make_rows):
    rows = make_rows(trained.images, trained.labels, eps=0.04)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    shuffled = rows[order]
    shuffled.index = torch.arange(40)
    outcome = drive(Pgd(steps=5), trained.classifier, rows, in_flight=7)
    again = drive(Pgd(steps=5), trained.classifier, shuffled, in_flight=7)
    for field in fields(Outcome):
        assert torch.equal(getattr(outcome, field.name)[order], getattr(again, field.name))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_early_exit_changes_no_verdict(trained, make_rows, norm):
    eps = torch.linspace(0.01, 0.1, 40) * {"linf": 1, "l2": 16}[norm]
    rows = make_rows(trained.images, trained.labels, eps=eps)
    early = drive(Pgd(norm=norm, steps=10), trained.classifier, rows, in_flight=64)
    late = drive(Pgd(norm=norm, steps=10), trained.classifier, rows, in_flight=64, early_exit=False)
    assert torch.equal(early.rank, late.rank)
    assert early.passes.sum() < late.passes.sum()
    lost = early.rank == NOTHING
    assert 0 < lost.sum() < 40
    assert torch.equal(early.pixels[lost], late.pixels[lost])


def test_a_saved_picture_read_back_fools_as_it_did(trained, make_rows):
    rows = make_rows(trained.images, trained.labels, eps=0.06)
    outcome = drive(Pgd(steps=10), trained.classifier, rows, in_flight=64)
    read = (outcome.saved * 255).round().to(torch.uint8).float() / 255
    assert torch.equal(read, outcome.saved)
    for places in (slice(0, 1), slice(5, 12), slice(0, 40)):
        assert torch.equal(trained.classifier.logits(read[places]), outcome.saved_logits[places])
    fooled = trained.network(read).argmax(1) != trained.labels  # by the network as it was trained
    assert torch.equal(fooled, outcome.rank == AS_SAVED)
    assert fooled.sum() > 10
    assert ((outcome.saved - trained.images).abs() <= 0.06 + 1e-6).all()


def test_a_targeted_row_goes_on_until_it_reaches_its_target(trained, make_rows):
    target = (trained.labels + 1) % 5
    rows = make_rows(trained.images, trained.labels, target, eps=0.3)
    outcome = drive(Pgd(steps=20), trained.classifier, rows, in_flight=64)
    reached = outcome.rank == AS_SAVED
    assert reached.sum() > 20
    assert torch.equal(outcome.saved_logits.argmax(1) == target, reached)


def test_a_row_that_begins_at_its_goal_costs_two_looks(brightness, dark):
    outcome = drive(Brighten(), brightness, dark(200), in_flight=1)
    assert torch.equal(outcome.saved, outcome.pixels)
    assert level(outcome.saved) == pytest.approx([200])
    assert (outcome.passes.tolist(), outcome.pulls.tolist()) == ([2], [0])


class Lies(nn.Module):
    """Brightness, but in a low precision it sees things brighter, or darker, than they are."""

    def __init__(self, by):
        super().__init__()
        self.by, self.true = by, Brightness()

    def forward(self, pixels):
        return self.true(pixels + (self.by * LEVEL if torch.is_autocast_enabled("cpu") else 0))


def test_what_a_low_precision_finds_is_confirmed_in_full(wrap, dark):
    outcome = drive(Brighten(), wrap(Lies(5), precision="bf16"), dark(120), in_flight=1)
    assert level(outcome.saved) == pytest.approx([128])
    assert outcome.rank.tolist() == [AS_SAVED]
    # Claimed at 123 to 127 and refuted, each at the price of two looks; confirmed at 128.
    assert outcome.passes.tolist() == [9 + 2 * 6]
    outcome = drive(Brighten(steps=5), wrap(Lies(5), precision="bf16"), dark(120), in_flight=1)
    assert outcome.rank.tolist() == [NOTHING]
    assert torch.equal(outcome.logits, wrap(Brightness()).logits(outcome.pixels))


def test_what_was_claimed_and_refuted_is_not_kept(wrap, dark):
    outcome = drive(Visit((125, 100)), wrap(Lies(5), precision="bf16"), dark(90), in_flight=1)
    assert outcome.rank.tolist() == [NOTHING]
    assert level(outcome.pixels) == pytest.approx([100])  # where the search ended
    assert outcome.passes.tolist() == [3 + 2 + 2]


def test_what_a_low_precision_overlooks_is_found_at_the_end(wrap, dark):
    outcome = drive(Brighten(steps=10), wrap(Lies(-50), precision="bf16"), dark(120), in_flight=1)
    assert level(outcome.saved) == pytest.approx([130])
    assert outcome.rank.tolist() == [AS_SAVED]


def test_a_real_low_precision_search_is_judged_in_full(trained, make_rows, make_card, wrap):
    classifier = wrap(trained.network, classes=5, size=16, precision="bf16")
    rows = make_rows(trained.images, trained.labels, eps=0.06)
    outcome = drive(Pgd(steps=10), classifier, rows, in_flight=64)
    assert torch.equal(outcome.logits, classifier.logits(outcome.pixels))
    assert torch.equal(outcome.saved_logits, classifier.logits(outcome.saved))
    assert torch.equal(outcome.rank == AS_SAVED, certain(rows.goal, outcome.saved_logits))
    assert (outcome.rank == AS_SAVED).sum() > 10


def attack(step=None, start=None, **said):
    """Make an attack of one step that does the given things."""

    def nothing(*_):
        pass

    body = {"steps": 1, "start": start or nothing, "step": step or nothing, **said}
    return type("Rogue", (), {name: staticmethod(v) if callable(v) else v for name, v in body.items()})()


def put(change):
    def step(rows, logits, pull):
        rows.adversarial = change(rows)

    return step


ROGUES = [
    (put(lambda rows: rows.images + 60 * LEVEL), {}, "left its linf ball by 0.039"),
    (put(lambda rows: rows.images + 49 * LEVEL), {"norm": "l2"}, "left its l2 ball by 2.4"),
    (put(lambda rows: rows.images * 0 - 1e-6), {"norms": ()}, r"left \[0, 1\]: its pixels span \[-1e-06, -1e-06\]"),
    (put(lambda rows: rows.images * 0 + 1.01), {"norms": ()}, r"left \[0, 1\]: its pixels span \[1.01, 1.01\]"),
    (put(lambda rows: rows.images * float("nan")), {}, "not all finite"),
    (put(lambda rows: rows.images / 0), {"norms": ()}, "not all finite"),
    (put(lambda rows: rows.images[:, :, :4]), {}, r"pixels \(2, 3, 4, 8\)"),
    (put(lambda rows: rows.images[:1]), {}, "there are 2 rows"),
    (put(lambda rows: rows.images.double()), {}, r"pixels \(2, 3, 8, 8\) of torch.float64"),
]


@pytest.mark.parametrize(("step", "said", "message"), ROGUES)
@pytest.mark.parametrize("when", ["start", "step"])
def test_an_attack_that_breaks_its_contract_is_stopped(brightness, dark, step, said, message, when):
    rogue = attack(**{when: step if when == "step" else lambda rows, noise: step(rows, None, None)}, **said)
    with pytest.raises(ContractError, match=message):
        drive(rogue, brightness, dark(100, 100), in_flight=8)


@pytest.mark.parametrize("name", ["index", "images", "eps", "label", "target", "passes"])
def test_what_the_driver_gave_is_not_the_attacks_to_change(brightness, dark, name):
    def step(rows, logits, pull):
        setattr(rows, name, getattr(rows, name) + 1)

    with pytest.raises(ContractError, match=f"replaced rows.{name}"):
        drive(attack(step), brightness, dark(100, 100), in_flight=8)


def test_a_ball_allows_for_rounding_and_no_more(brightness, dark):
    drive(attack(put(lambda rows: rows.images + 50 * LEVEL + 5e-7)), brightness, dark(10), in_flight=1)
    with pytest.raises(ContractError, match="left its linf ball"):
        drive(attack(put(lambda rows: rows.images + 50 * LEVEL + 5e-6)), brightness, dark(10), in_flight=1)


@pytest.mark.parametrize("needs", ["scores", "labels"])
def test_an_attack_sees_no_more_than_it_said_it_needs(brightness, dark, needs):
    def greedy(rows, logits, pull):
        pull(logits)

    with pytest.raises(ContractError, match=f"needs only {needs} asked for a gradient"):
        drive(attack(greedy, needs=needs), brightness, dark(100), in_flight=1)
    seen = []
    drive(attack(lambda rows, logits, pull: seen.append(logits), needs=needs), brightness, dark(100, 127), in_flight=8)
    expected = [[1, 0], [1, 0]] if needs == "labels" else [[27.3, -27.3], [0.3, -0.3]]
    assert torch.allclose(seen[0], torch.tensor(expected).float(), atol=1e-4)


def test_a_tensor_made_too_late_is_named(brightness, dark):
    class Late(Brighten):
        def step(self, rows, logits, pull):
            super().step(rows, logits, pull)
            rows.memory = rows.eps

    with pytest.raises(ContractError, match="differ in memory"):
        drive(Late(), brightness, dark(127, 100, 100), in_flight=2)


def test_an_attack_without_a_ball_goes_where_it_likes(brightness, dark):
    linf, l2 = 155 / 255, 155 / 255 * 192**0.5
    for said, distance in (
        ({"norms": ()}, l2),  # l2 where there is no norm
        ({"norms": (), "scale": "size"}, l2),
        ({"norms": ("linf",), "scale": "size"}, linf),
        ({"norms": ("linf", "l2"), "norm": "l2", "scale": "none"}, l2),
    ):
        outcome = drive(attack(put(lambda rows: rows.images * 0 + 1), **said), brightness, dark(100), in_flight=1)
        assert outcome.rank.tolist() == [AS_SAVED]
        assert outcome.distance.tolist() == pytest.approx([distance])


def test_the_callers_rows_and_generators_stay_as_they_were(trained, make_rows):
    rows = make_rows(trained.images, trained.labels, eps=0.05)
    before, state = {name: getattr(rows, name).clone() for name in rows}, torch.get_rng_state()
    drive(Pgd(steps=3), trained.classifier, rows, in_flight=16)
    assert all(torch.equal(getattr(rows, name), value) for name, value in before.items())
    assert set(rows) == set(before)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_that_are_not_attacked_are_their_own_outcome(brightness, dark):
    rows = dark(100, 200, 127)
    outcome = Outcome.unmoved(rows, brightness.logits(rows.images))
    assert torch.equal(outcome.saved, rows.images)
    assert outcome.rank.tolist() == [NOTHING, AS_SAVED, NOTHING]
    assert outcome.passes.tolist() == outcome.pulls.tolist() == outcome.distance.tolist() == [0, 0, 0]
    todo = rows[torch.tensor([True, False, True])]
    todo.index = torch.arange(2)
    outcome.put(torch.tensor([True, False, True]), drive(Brighten(40), brightness, todo, in_flight=1))
    assert level(outcome.saved) == pytest.approx([140, 200, 167])
    assert outcome.passes.tolist() == [3, 0, 3]
