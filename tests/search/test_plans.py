"""What is attempted on one image: eps after eps, restarts, members, the smallest eps, and the bound on queries."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from advcli.attacks.pgd import Pgd
from advcli.core.attack import Member, Traits
from advcli.search.flow import drive, flow
from advcli.search.outcome import Outcome
from advcli.search.plans import AttackPlan, Problem, attack_job

LEVEL = 1 / 255


def problems(classifier, images, labels, seed=0):
    logits = classifier.logits(images)
    return [Problem(classifier, images[k], logits[k], int(labels[k]), f"sha {k}", seed) for k in range(len(images))]


def answers_of(classifier, images, labels, plan, **options):
    """Answers of each image, in the order of the images."""

    def job(place, problem):
        return place, (yield from attack_job(problem, plan))

    jobs = (job(place, problem) for place, problem in enumerate(problems(classifier, images, labels)))
    found = dict(flow(jobs, **options))
    return [found[place] for place in range(len(images))]


def same(first, second):
    return torch.equal(first.pixels, second.pixels) and torch.equal(first.saved, second.saved)


def test_an_eps_list_goes_on_with_survivors_only(trained):
    radii = (0.02, 0.045, 0.1)
    asked = (trained.classifier, trained.images, trained.labels)
    found = answers_of(*asked, AttackPlan(Pgd(steps=5), "pgd", eps=radii), batch_size=7)
    apart = [answers_of(*asked, AttackPlan(Pgd(steps=5), "pgd", eps=(eps,))) for eps in radii]
    fell_first = 0
    for place, answers in enumerate(found):
        assert tuple(answer.eps for answer in answers) == radii
        fallen = None
        for which, answer in enumerate(answers):
            outcome = answer.outcome
            assert answer.implied == (fallen is not None)
            if fallen is None:
                assert same(outcome, apart[which][place][0].outcome)
                assert outcome.forward_passes == apart[which][place][0].outcome.forward_passes
                fallen = outcome if outcome.reached_as_saved else None
            else:
                assert same(outcome, fallen)
                assert outcome.forward_passes == outcome.backward_passes == outcome.verification_passes == 0
                fell_first += 1
    assert fell_first > 5


def test_an_image_that_is_at_its_goal_costs_nothing(trained):
    wrong = (trained.labels + 1) % 5
    for smallest in (None, 1e-3):
        plan = AttackPlan(Pgd(), "pgd", eps=(0.01, 0.02), min_eps_resolution=smallest)
        for answers in answers_of(trained.classifier, trained.images[:5], wrong[:5], plan):
            assert len(answers) == (2 if smallest is None else 1)
            for answer in answers:
                assert answer.outcome.forward_passes == answer.outcome.verification_passes == 0
                assert answer.outcome.reached_as_saved
                assert answer.restart is None


def test_restarts_are_made_while_an_image_survives(trained):
    asked = (trained.classifier, trained.images, trained.labels)
    once = answers_of(*asked, AttackPlan(Pgd(steps=2), "pgd", eps=(0.045,)))
    more = answers_of(*asked, AttackPlan(Pgd(steps=2, restarts=5), "pgd", eps=(0.045,)), batch_size=9)
    later = 0
    for (one,), (several,) in zip(once, more, strict=True):
        assert one.restart == 0
        if one.outcome.reached_as_saved:
            assert several.restart == 0
            assert same(one.outcome, several.outcome)
        elif several.outcome.reached_as_saved:
            later += 1
            assert several.restart > 0
            assert several.outcome.forward_passes > one.outcome.forward_passes  # of all restarts together
        else:
            assert several.outcome.backward_passes == 5 * 2
    assert later > 0


@dataclass(frozen=True)
class Composed:
    """PGD at several classes, then a plain one."""

    traits: ClassVar[Traits] = Traits(norms=("linf",), targets="never")

    steps: ClassVar[int] = 0

    def start(self, rows):
        """Begin nowhere: the members do."""

    def members(self, classes):
        aimed = tuple(Member(f"aim-{rank}", Pgd(steps=3), aim=rank) for rank in range(1, classes))
        return (*aimed, Member("plain", Pgd(steps=6)))


def test_members_run_over_survivors_and_the_record_names_the_stage(trained):
    found = answers_of(
        trained.classifier, trained.images, trained.labels, AttackPlan(Composed(), "composed", eps=(0.045,))
    )
    stages = {answer.stage for (answer,) in found}
    assert {"aim-1"} < stages <= {"aim-1", "aim-2", "aim-3", "aim-4", "plain"}
    for (answer,) in found:
        if answer.outcome.reached_as_saved and answer.stage == "aim-1":
            assert answer.outcome.backward_passes <= 3
        if not answer.outcome.reached_as_saved:
            assert answer.outcome.backward_passes == 4 * 3 + 6


def test_the_smallest_eps_is_found_by_bisection(brightness, attacks):
    @dataclass(frozen=True)
    class Full(attacks["Brighten"]):
        """One step of the whole radius."""

        steps: int = 1

        def step(self, rows, logits, model):
            rows.adversarial = (rows.images + rows.column(rows.eps)).clamp(0, 1)

    levels = torch.tensor([100, 120, 126, 200, 10])
    images = (levels / 255).float().view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
    labels = torch.zeros(5, dtype=torch.int64)
    plan = AttackPlan(Full(), "full", eps=(60 * LEVEL,), min_eps_resolution=0.25 * LEVEL)
    found = [answer for (answer,) in answers_of(brightness, images, labels, plan)]
    for answer, least in zip(found[:3], (28, 8, 2), strict=True):
        assert least * LEVEL <= answer.eps <= (least + 0.3) * LEVEL
        assert float((answer.outcome.saved * 255).mean()) == pytest.approx(128)
        assert 2 * 2 <= answer.outcome.forward_passes <= 2 * 12  # all trials together
    assert (found[3].eps, found[3].outcome.forward_passes) == (0.0, 0)  # bright already
    assert found[4].eps == plan.eps[-1]
    assert found[4].outcome.rank == 0


def test_the_smallest_eps_on_a_trained_network_suffices(trained):
    asked = (trained.classifier, trained.images[:6], trained.labels[:6])
    plan = AttackPlan(Pgd(steps=5), "pgd", eps=(0.1,), min_eps_resolution=0.01)
    again = answers_of(*asked, plan, batch_size=3)
    for place, (answer,) in enumerate(answers_of(*asked, plan)):
        delta = (answer.outcome.saved - trained.images[place]).abs().max()
        assert delta <= answer.eps
        assert same(again[place][0].outcome, answer.outcome)
        assert answer.outcome.reached_as_saved


@pytest.mark.parametrize("queries", [1, 2, 3, 7, 12, 30])
@pytest.mark.parametrize("name", ["Brighten", "Visit", "Climb"])
def test_a_bound_on_queries_is_kept(on_flat, attacks, name, queries):
    attack = attacks[name](tuple(range(20, 60))) if name == "Visit" else attacks[name]()
    found = on_flat(attack, 10, 50, 20, eps=60, queries=queries)
    spent = found.forward_passes + found.backward_passes
    assert (spent <= queries).all()
    most = {"Brighten": 41, "Visit": 41, "Climb": 31}[name]
    assert (spent >= min(queries - (name == "Brighten"), most)).all()


def test_queries_and_gradients_beyond_the_budget_are_not_made(on_flat, attacks):
    class Greedy(attacks["Brighten"]):
        def step(self, rows, logits, model):
            asked = model.query((rows.images[:, None] + torch.arange(5).view(1, 5, 1, 1, 1) * LEVEL).clamp(0, 1))
            assert torch.isfinite(asked).all()
            gradient = model.vjp(torch.ones(len(rows), 3, 2))
            rows.adversarial = (rows.adversarial + gradient.sum(1).sign() * LEVEL).clamp(0, 1)

    for queries, forward, backward in ((9, 6, 3), (8, 6, 0), (3, 3, 0), (19, 13, 6)):
        found = on_flat(Greedy(), 20, queries=queries)
        assert (found.forward_passes.tolist(), found.backward_passes.tolist()) == ([forward], [backward])


def test_the_bound_of_a_plan_holds_for_all_restarts_together(trained):
    plan = AttackPlan(Pgd(steps=4, restarts=6), "pgd", eps=(0.01,), queries=23)
    for (answer,) in answers_of(trained.classifier, trained.images, trained.labels, plan):
        assert answer.outcome.forward_passes + answer.outcome.backward_passes <= 23
        assert answer.outcome.reached_as_saved or answer.outcome.backward_passes == 4 + 4 + 2


def test_two_uses_of_an_attack_draw_different_numbers(trained):
    asked = (trained.classifier, trained.images[:3], trained.labels[:3])
    first, second, again = (
        answers_of(*asked, AttackPlan(Pgd(steps=1), name, eps=(0.01,)))[0][0].outcome.pixels
        for name in ("pgd", "pgd-2", "pgd")
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_an_attack_may_begin_at_a_picture_that_is_at_its_goal(trained):
    starts = {}

    @dataclass(frozen=True)
    class Donated:
        traits: ClassVar[Traits] = Traits(begins="donor", needs="labels", keeps="smallest", cost=(1, 0))

        steps: ClassVar[int] = 3

        def start(self, rows):
            assert torch.equal(rows.adversarial, rows.donor)
            starts.update(zip(rows.label.tolist(), rows.donor, strict=True))

        def step(self, rows, logits, model):
            rows.adversarial = (rows.images + rows.adversarial) / 2

    plan = AttackPlan(Donated(), "donated")
    found = answers_of(trained.classifier, trained.images[:5], trained.labels[:5], plan)
    classes = {place: int(trained.classifier.logits(pixels[None]).argmax()) for place, pixels in starts.items()}
    for place, (answer,) in enumerate(found):
        label = int(trained.labels[place])
        if classes[label] != label:  # a donor of another class, which some classes may not have
            assert answer.outcome.reached
    assert sum(classes[label] != label for label in classes) >= 3


def test_a_plan_is_a_job_like_any_other(trained):
    problem = problems(trained.classifier, trained.images[:1], trained.labels[:1])[0]
    job = attack_job(problem, AttackPlan(Pgd(steps=2), "pgd", eps=(0.001, 0.002)))
    (attempt,) = next(job)
    (outcome,) = drive([attempt])
    assert isinstance(outcome, Outcome)
    (second,) = job.send([outcome])
    assert (attempt.eps, second.eps) == (0.001, 0.002)
    assert attempt.key == second.key
