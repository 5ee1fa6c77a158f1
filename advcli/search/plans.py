"""What is attempted on one image under one attack: by eps, stage and restart, while the image survives."""

import dataclasses
import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from advcli.core.attack import Attack, Composed, Member, norm_of
from advcli.core.goals import Goal, is_reached
from advcli.core.grid import SLACK
from advcli.core.norms import BALLS
from advcli.core.precision import exact, wide
from advcli.core.radii import Shares, radii, stretched
from advcli.core.randomness import key
from advcli.models.classifier import Classifier
from advcli.search.attempt import Attempt
from advcli.search.donors import donor_for
from advcli.search.flow import Job, Race
from advcli.search.outcome import Outcome


@dataclass(frozen=True, eq=False)
class Problem:
    """One image under one classifier.

    Args:
        classifier: what is attacked.
        image: (3, H, W) float32, on the grid of eight-bit pictures.
        logits: (K,) fp32 logits of the image.
        label: class of the image.
        sha256: of the image's bytes, for its random numbers.
        seed: of the run.
    """

    classifier: Classifier
    image: Tensor
    logits: Tensor
    label: int
    sha256: str
    seed: int


@dataclass(frozen=True)
class AttackPlan:
    """What is attempted on an image.

    Args:
        attack: with its settings.
        name: of its random numbers: the method, its settings, and which use of it this is.
        target: class to reach, or -1.
        eps: ascending; one 0 where the attack has no use for it.
        shares: what of eps is the radius of each channel; none where it holds in all of them.
        min_eps_resolution: find the smallest eps up to the largest of ``eps``, to this resolution; none to try those
            of ``eps``.
        queries: forward and backward passes that one eps may cost, all stages and restarts together; none for the
            bound of the flow, which holds for each attempt alone.
    """

    attack: Attack | Composed
    name: str
    target: int = -1
    eps: tuple[float, ...] = (0.0,)
    shares: Shares | None = None
    min_eps_resolution: float | None = None
    queries: int | None = None


@dataclass(frozen=True, eq=False)
class Answer:
    """What an image came to at one eps.

    Args:
        eps: the radius.
        outcome: the best of all attempts, with the passes of all of them.
        implied: not computed, because a smaller eps was enough; the point found there stands, at no cost.
        stage: member of a composed attack that found the point; none for a plain attack.
        restart: number of the restart that found it, from 0; none where the image was at its goal before.
    """

    eps: float
    outcome: Outcome
    implied: bool = False
    stage: str | None = None
    restart: int | None = None


def attack_job(problem: Problem, plan: AttackPlan) -> Job[list[Answer]]:
    """Attack one image.

    An image that is at its goal already costs nothing. From the smallest eps that suffices on, larger ones are implied.

    Args:
        problem: the image.
        plan: what is attempted.

    Returns:
        One answer for each eps of the plan, in order. With ``min_eps_resolution`` one alone: at the smallest eps that
        was found to suffice, or at the largest of the plan where none did.
    """
    if is_reached(exact(problem.logits), problem.label, plan.target):
        unmoved = Outcome.unmoved(problem.image, problem.logits, problem.label, plan.target)
        smallest = plan.min_eps_resolution is not None
        return [Answer(eps, unmoved) for eps in ((0.0,) if smallest else plan.eps)]
    if plan.min_eps_resolution is not None:
        return [(yield from _smallest(problem, plan, plan.min_eps_resolution))]
    answers: list[Answer] = []
    for eps in plan.eps:
        if answers and answers[-1].outcome.reached_as_saved:
            free = dataclasses.replace(answers[-1].outcome, forward_passes=0, backward_passes=0, verification_passes=0)
            answers.append(dataclasses.replace(answers[-1], eps=eps, outcome=free, implied=True))
        else:
            answers.append((yield from _at(problem, plan, eps)))
    return answers


def _smallest(problem: Problem, plan: AttackPlan, resolution: float) -> Generator[Any, Any, Answer]:
    """Find the smallest eps by bisection; a success bounds it by its own distance."""
    best: Answer = yield from _at(problem, plan, plan.eps[-1])
    spent = [best.outcome]
    if best.outcome.reached_as_saved:
        low, high = 0.0, _radius(problem, plan, best)
        if norm_of(plan.attack) == "l0":
            resolution = max(1.0, resolution)
        while high - low > resolution:
            middle = (low + high) / 2
            if norm_of(plan.attack) == "l0":
                middle = float(int(middle))
            tried: Answer = yield from _at(problem, plan, middle)
            spent.append(tried.outcome)
            if tried.outcome.reached_as_saved:
                best, high = tried, _radius(problem, plan, tried)
            else:
                low = middle
        best = dataclasses.replace(best, eps=high)
    return dataclasses.replace(best, outcome=_with_costs(best.outcome, spent))


def _radius(problem: Problem, plan: AttackPlan, answer: Answer) -> float:
    norm = norm_of(plan.attack)
    if norm is None or plan.attack.traits.eps == "magnitude":
        return answer.eps
    delta = answer.outcome.saved - problem.image.cpu()
    eps = radii([answer.eps], plan.shares, delta.device)
    size = float(BALLS[norm].size(stretched(delta[None], eps)))
    return min(answer.eps, size if norm == "l0" else size * (1 + SLACK))


def _at(problem: Problem, plan: AttackPlan, eps: float) -> Generator[Any, Any, Answer]:
    """Try all stages and their restarts while the image survives."""
    found: list[Answer] = []
    stages = _stages(problem, plan.attack)
    restarts = [getattr(members[0].attack, "restarts", 1) for _, members in stages]
    works = [[_work(member.attack) for member in members] for _, members in stages]
    whole, tried = sum(count * sum(work) for count, work in zip(restarts, works, strict=True)), 0.0
    for (name, members), count, work in zip(stages, restarts, works, strict=True):
        for restart in range(count):
            left = None if plan.queries is None else plan.queries - sum(map(_passes, found))
            if left is not None and left <= 0:
                return _best(problem, plan, found)
            attempts = [_attempt(problem, plan, member, restart, eps, left) for member in members]
            attempts = [dataclasses.replace(one, part=part / whole) for one, part in zip(attempts, work, strict=True)]
            attempts[0] = dataclasses.replace(attempts[0], before=tried / whole)
            tried += sum(work)
            outcomes = yield from _tried(attempts, plan, left)
            found += [Answer(eps, outcome, stage=name or None, restart=restart) for outcome in outcomes]
            if plan.attack.traits.keeps == "first" and found[-1].outcome.reached_as_saved:
                return _best(problem, plan, found)
    return _best(problem, plan, found)


def _tried(attempts: list[Attempt], plan: AttackPlan, left: int | None) -> Generator[Any, Any, list[Outcome]]:
    """Carry out the attempts of one stage; where one of them is enough and has succeeded, it is the last.

    Args:
        attempts: of the stage.
        plan: they belong to.
        left: passes that they may cost together; none for no bound. Where there is one they are made in turn, so that
            each is given what the others left.
    """
    wanted = plan.attack.traits.keeps == "first"
    if left is None:
        outcomes: list[Outcome | None] = yield Race(attempts) if wanted and len(attempts) > 1 else attempts
        winner = next((one for one in outcomes if one is not None), None) if None in outcomes else None
        return [_charged(winner, attempts)] if winner else [one for one in outcomes if one is not None]
    made: list[Outcome] = []
    for attempt in attempts:
        budget = left - sum(one.forward_passes + one.backward_passes for one in made)
        if budget > 0:
            made += yield [dataclasses.replace(attempt, queries=budget)]
        if wanted and made[-1].reached_as_saved:
            break
    return made


def _charged(winner: Outcome, attempts: list[Attempt]) -> Outcome:
    """The winner of a race with the passes of all that took part.

    The others are charged as many steps as the winner made, at the cost that their traits state. What they had really
    done when they were given up depends on which rows shared a batch, which a result must not.
    """
    steps, others = winner.steps, len(attempts) - 1
    forward, backward = attempts[0].attack.traits.cost
    return dataclasses.replace(
        winner,
        forward_passes=winner.forward_passes + others * (steps + 1) * forward,
        backward_passes=winner.backward_passes + others * steps * backward,
    )


def _passes(answer: Answer) -> int:
    return answer.outcome.forward_passes + answer.outcome.backward_passes


def _stages(problem: Problem, attack: Attack | Composed) -> list[tuple[str, list[Member]]]:
    """Members of one name that follow one another, by their name; a plain attack is its own only member."""
    compose = getattr(attack, "members", None)  # asked once an image: isinstance of a protocol is slow
    if compose is None:
        return [("", [Member("", cast("Attack", attack))])]
    members = compose(len(problem.classifier.card.classes))
    return [(name, list(group)) for name, group in itertools.groupby(members, key=lambda member: member.name)]


def _work(attack: Attack) -> int:
    """Passes that an attack takes at most, as far as its settings say, to weigh its share of the progress."""
    steps = getattr(attack, "steps", None) or getattr(attack, "queries", None) or 1
    return max(1, int(steps)) * max(1, sum(attack.traits.cost))


def _attempt(problem: Problem, plan: AttackPlan, member: Member, restart: int, eps: float, left: int | None) -> Attempt:
    aimed = (str(member.aim),) if member.aim else ()
    purpose = (plan.name, member.name, str(restart), str(plan.target), *aimed)
    keys = key(problem.seed, problem.sha256, *purpose)
    donor = None
    if member.attack.traits.begins == "donor":
        donor = donor_for(problem.classifier, problem.label, plan.target, keys)
    aim = _aim(problem, member.aim) if plan.target < 0 else -1
    return Attempt(
        problem.classifier, member.attack, problem.image, problem.label, plan.target, aim, eps, plan.shares, key=keys,
        donor=donor, queries=left,
    )  # fmt: skip


def _aim(problem: Problem, rank: int) -> int:
    """Class of a rank among those that are not the label, by the clean image's logits; -1 where there is none."""
    logits = wide(problem.logits.cpu()).clone()
    if not 1 <= rank < len(logits):
        return -1
    logits[problem.label] = -torch.inf
    return int(logits.argsort(descending=True, stable=True)[rank - 1])


def _best(problem: Problem, plan: AttackPlan, found: list[Answer]) -> Answer:
    """Choose a success as saved, else in float, the nearest of them; else the highest margin."""
    if len(found) == 1:
        return found[0]
    goal = Goal.of(problem.label, plan.target)

    def order(answer: Answer) -> tuple[int, float]:
        outcome = answer.outcome
        return (-outcome.rank, outcome.distance if outcome.rank else -float(goal.margin(outcome.logits[None])))

    best = min(found, key=order)
    return dataclasses.replace(best, outcome=_with_costs(best.outcome, [answer.outcome for answer in found]))


def _with_costs(outcome: Outcome, spent: list[Outcome]) -> Outcome:
    """The same outcome with the passes of all attempts."""
    return dataclasses.replace(
        outcome,
        forward_passes=sum(one.forward_passes for one in spent),
        backward_passes=sum(one.backward_passes for one in spent),
        verification_passes=sum(one.verification_passes for one in spent),
    )
