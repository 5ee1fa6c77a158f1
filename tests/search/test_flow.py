"""Rows that flow: places are filled at once, results do not depend on company, and jobs go on with what they get."""

import copy

import pytest
import torch

from advcli.attacks.autoattack import Autoattack
from advcli.attacks.pgd import Pgd
from advcli.core.attack import Traits
from advcli.search.flow import Race, drive, flow
from advcli.search.plans import AttackPlan, Problem, attack_job

SETTINGS = [("linf", 1.0), ("l2", 16.0), ("l1", 150.0)]


def shown_by(classifier, work):
    """Rows that the network is shown, fillers included."""
    shown = []
    handle = classifier.network.register_forward_pre_hook(lambda _module, inputs: shown.append(len(inputs[0])))
    try:
        work()
    finally:
        handle.remove()
    return shown


@pytest.mark.parametrize(("norm", "scale"), SETTINGS)
@pytest.mark.parametrize("early_exit", [True, False])
def test_how_many_rows_are_in_flight_changes_nothing(trained, run_attack, norm, scale, early_exit):
    eps = torch.linspace(0.01, 0.1, 40) * scale
    asked = (Pgd(norm=norm, steps=7), trained.classifier, trained.images, trained.labels, None, eps)
    found = [run_attack(*asked, batch_size=n, early_exit=early_exit) for n in (1, 5, 64)]
    assert found[0].rank.unique().numel() > 1  # some fall, some do not
    assert found[0].differences(found[1]) == found[0].differences(found[2]) == []


def test_neither_order_nor_neighbors_change_anything(trained, attempts):
    one = attempts(Pgd(steps=5), trained.classifier, trained.images, trained.labels, None, 0.04)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()
    expected = drive(one, batch_size=7)
    shuffled = drive([one[place] for place in order], batch_size=7)
    for place, outcome in zip(order, shuffled, strict=True):
        assert torch.equal(outcome.pixels, expected[place].pixels)
        assert outcome.forward_passes == expected[place].forward_passes
    # Other pictures in every place but one.
    other = attempts(Pgd(steps=5), trained.classifier, 1 - trained.images, trained.labels, None, 0.3, seed=1)
    for place in (0, 17, 39):
        mixed = [*other[:place], one[place], *other[place + 1 :]]
        assert torch.equal(drive(mixed)[place].pixels, expected[place].pixels)


def test_a_row_that_is_poisoned_harms_no_other(trained, attempts):
    class Poison(Pgd):
        def step(self, rows, logits, model):
            super().step(rows, logits, model)
            first = (rows.index == 3).view(-1, 1, 1, 1)
            rows.adversarial = torch.where(first, 1 - rows.images, rows.adversarial)

        traits = Traits(norms=("linf",), eps="magnitude")

    made = attempts(Poison(steps=4), trained.classifier, trained.images, trained.labels, None, 0.04)
    plain = attempts(Pgd(steps=4), trained.classifier, trained.images, trained.labels, None, 0.04)
    poisoned, clean = drive(made, early_exit=False), drive(plain, early_exit=False)
    for place in (0, 1, 2, 4, 20, 39):
        assert torch.equal(poisoned[place].pixels, clean[place].pixels)


def test_places_are_refilled_and_what_a_row_remembers_follows_it(on_flat, attacks, levels):
    seen = []

    class Remembers(attacks["Brighten"]):
        def start(self, rows):
            rows.home = (rows.images[:, 0, 0, 0] * 255).round()
            rows.walked = torch.zeros(len(rows), 2)

        def step(self, rows, logits, model):
            seen.append(rows.age.tolist())
            assert torch.equal(rows.home, (rows.images[:, 0, 0, 0] * 255).round())
            assert torch.equal(rows.walked[:, 1], rows.age.float())
            rows.walked = rows.walked + torch.tensor([0.0, 1.0])
            rows.adversarial = ((rows.home + rows.walked[:, 1]) / 255).view(-1, 1, 1, 1).expand_as(rows.images)

    found = on_flat(Remembers(), 127, 121, 126, 90, 125, 127, 124, batch_size=2)
    assert levels(found.saved) == pytest.approx([128, 128, 128, 110, 128, 128, 128])
    assert found.forward_passes.tolist() == [2, 8, 3, 21, 4, 2, 5]
    assert all(len(ages) <= 2 for ages in seen)
    assert any(len(set(ages)) == 2 for ages in seen)
    assert sum(map(len, seen)) == 1 + 7 + 2 + 20 + 3 + 1 + 4


def test_the_passes_that_are_counted_are_those_of_the_network(trained, attempts):
    classifier = copy.copy(trained.classifier)
    classifier.network = copy.deepcopy(classifier.network)
    made = attempts(Pgd(steps=6), classifier, trained.images, trained.labels, None, 0.1)

    def run(early_exit):
        found = []
        shown = shown_by(classifier, lambda: found.extend(drive(made, early_exit=early_exit)))
        return found, sum(shown), sum(one.forward_passes + one.verification_passes for one in found)

    found, shown, counted = run(early_exit=True)
    assert counted <= shown
    found, shown, counted = run(early_exit=False)
    assert 0 <= shown - counted < 16  # all rows are looked at together, so nothing is filled but the verification
    assert all(one.forward_passes == 7 for one in found)


def test_jobs_are_taken_only_while_there_is_room(trained, attempts):
    made = attempts(Pgd(steps=9), trained.classifier, trained.images, trained.labels, None, 0.01)
    under_way, most = 0, []

    def jobs():
        nonlocal under_way
        for attempt in made:
            under_way += 1
            most.append(under_way)
            yield job(attempt)

    def job(attempt):
        nonlocal under_way
        yield [attempt]
        under_way -= 1

    assert len(list(flow(jobs(), batch_size=5, early_exit=False))) == 40
    assert max(most) <= 5 + 16  # those in flight, and those that wait for their verification


def test_a_job_goes_on_with_what_it_is_given(trained, attempts):
    made = attempts(Pgd(steps=3), trained.classifier, trained.images, trained.labels, None, 0.02)
    larger = attempts(Pgd(steps=3), trained.classifier, trained.images, trained.labels, None, 0.1)

    def job(place):
        first = yield [made[place], larger[place]]
        second = yield []
        assert second == []
        third = yield [larger[place]]
        assert torch.equal(third[0].pixels, first[1].pixels)
        return place, [one.rank for one in first]

    def nothing():
        return "nothing", []
        yield

    results = dict(flow([job(0), nothing(), *(job(place) for place in range(1, 40))], batch_size=6))
    assert results.pop("nothing") == []
    assert results == {k: [a.rank, b.rank] for k, a, b in zip(range(40), drive(made), drive(larger), strict=True)}


def test_attacks_and_classifiers_do_not_mix(trained, smooth, attempts):
    parts = [
        attempts(attack, classifier, trained.images[:9], trained.labels[:9], None, 0.05)
        for attack in (Pgd(steps=3), Pgd(steps=5), Pgd(steps=4, norm="l2"))
        for classifier in (trained.classifier, smooth.classifier)
    ]
    apart = [drive(part) for part in parts]
    mixed = drive([part[place] for place in range(9) for part in parts], batch_size=4)
    for place in range(9):
        for which, outcomes in enumerate(apart):
            assert torch.equal(mixed[place * len(parts) + which].pixels, outcomes[place].pixels)


def test_progress_counts_rows_that_are_part_way(trained, attempts):
    made = attempts(Pgd(steps=4), trained.classifier, trained.images, trained.labels, None, 0.05)
    heard = []

    def job(attempt):
        yield [attempt]

    list(flow((job(attempt) for attempt in made), early_exit=False, on_progress=heard.append))
    assert heard == pytest.approx([10, 20, 30, 40, 0])


def race_of(made):
    found = yield Race(made)
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_winner_of_a_race_has_the_fewest_steps(attempts, brightness, attacks, levels, batch_size):
    def raced(*speeds, first=100):
        image = torch.full((1, 3, 8, 8), first / 255)
        made = [
            attempts(attacks["Brighten"](speed), brightness, image, torch.tensor([0]), None, 0.4)[0] for speed in speeds
        ]
        (found,) = flow([race_of(made)], batch_size=batch_size)
        return [None if one is None else one.steps for one in found]

    assert raced(2.0, 7.0, 4.0) == [None, 4, None]
    assert raced(2.0, 3.0, 7.0, 7.0, 5.0) == [None, None, 4, None, None]  # the first of equals
    assert raced(0.1, 0.2) == [20, 20]  # nobody won


def test_a_race_costs_no_more_steps_than_its_winner(attempts, brightness, attacks):
    steps = []

    class Counted(attacks["Brighten"]):
        def step(self, rows, logits, model):
            steps.append(len(rows))
            super().step(rows, logits, model)

    image = torch.full((1, 3, 8, 8), 100 / 255)
    made = [attempts(Counted(by), brightness, image, torch.tensor([0]), None, 0.4)[0] for by in (7.0, 0.1)]
    list(flow([race_of(made)], batch_size=8))
    assert sum(steps) <= 4 + 5


def test_the_callers_tensors_and_generators_stay_as_they_were(trained, attempts):
    made = attempts(Pgd(steps=3), trained.classifier, trained.images, trained.labels, None, 0.05)
    before, state = trained.images.clone(), torch.get_rng_state()
    drive(made)
    assert torch.equal(trained.images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_stages_of_an_attack_add_up_to_one_image(trained):
    attack = Autoattack(version="quick", steps=4, queries=20)
    image, label = trained.images[0], int(trained.labels[0])
    problem = Problem(trained.classifier, image, trained.classifier.logits(image[None])[0], label, "0" * 64, 0)
    heard = []
    plan = AttackPlan(attack, "autoattack", eps=(1e-4,))  # too little: every stage makes all its steps
    (found,) = flow(iter([attack_job(problem, plan)]), batch_size=4, on_progress=heard.append)
    assert not found[0].outcome.reached_as_saved
    assert len({round(share, 6) for share in heard}) > 10
    assert heard == [*sorted(heard[:-1]), 0.0]
    assert max(heard) <= 1 + 1e-9


def test_behind_its_deadline_a_flow_ends_with_what_is_finished(trained):
    def job(place):
        image = trained.images[place]
        logits = trained.classifier.logits(image[None])[0]
        problem = Problem(trained.classifier, image, logits, int(trained.labels[place]), f"picture {place}", 0)
        (answer,) = yield from attack_job(problem, AttackPlan(Pgd(steps=3), "test", eps=(0.05,)))
        return place, answer.outcome.pixels

    whole = dict(flow(map(job, range(40)), batch_size=4))
    cut = dict(flow(map(job, range(40)), batch_size=4, deadline=0.0))  # it has passed
    assert 1 <= len(cut) < len(whole) == 40
    assert all(torch.equal(pixels, whole[place]) for place, pixels in cut.items())
    left = dict(flow((job(place) for place in range(40) if place not in cut), batch_size=4))
    assert {**cut, **left}.keys() == whole.keys()
    assert all(torch.equal(pixels, whole[place]) for place, pixels in left.items())
