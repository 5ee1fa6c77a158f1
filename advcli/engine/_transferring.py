"""Points that were made for another network, judged on the one that is attacked."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch

from advcli.core.goals import Goal
from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest
from advcli.runs.classifiers import ClassifierRequest, classifier_for, model_names
from advcli.runs.command import RunConfig
from advcli.runs.loaded import Loaded
from advcli.search.flow import Job
from advcli.search.outcome import Outcome, certain
from advcli.search.plans import Answer, AttackPlan, Problem, attack_job


def surrogate_of(request: ModelRequest | None, loaded: Loaded, run: RunConfig) -> Classifier | None:
    """Load the network that attacks see in the place of the one that counts.

    Args:
        request: for the surrogate; none for none.
        loaded: models of the run.
        run: of which it is.

    Raises:
        UsageError: it reads pictures of another size, or has other classes, than a model of the run.
    """
    if request is None:
        return None
    model = loaded.classifiers[0]
    (name,) = model_names([request])
    found = classifier_for(
        ClassifierRequest(request, name, str(model.device), run.precision, model.block, len(loaded.items))
    )
    for one in loaded.classifiers:
        refuse_misfit(found, one)
    return found


def refuse_misfit(surrogate: Classifier, model: Classifier) -> None:
    """Refuse a surrogate that does not fit a model.

    Raises:
        UsageError: it reads pictures of another size, or has other classes.
    """
    there, here = surrogate.card, model.card
    if here.preprocessing.size != there.preprocessing.size:
        (height, width), (high, wide) = there.preprocessing.size, here.preprocessing.size
        raise UsageError(
            f"--surrogate {there.name} and {here.name} read pictures of different sizes: "
            f"{width} x {height} and {wide} x {high}",
            "choose one of the same size",
        )
    named = here.classes_known and there.classes_known
    if len(here.classes) != len(there.classes) or (named and here.classes != there.classes):
        raise UsageError(
            f"--surrogate {there.name} has other classes than {here.name}",
            "choose one with the same classes in the same order",
        )


def transferred(problem: Problem, plan: AttackPlan, surrogate: Classifier) -> Job[list[Answer]]:
    """Attack the surrogate at each eps, and show what comes out to the network that counts.

    Args:
        problem: the image under the network that counts.
        plan: what is attempted.
        surrogate: what the attack sees.
    """
    answers: list[Answer] = []
    for eps in plan.eps:
        if answers and answers[-1].outcome.reached_as_saved:
            free = replace(answers[-1].outcome, forward_passes=0, backward_passes=0, verification_passes=0)
            answers.append(replace(answers[-1], eps=eps, outcome=free, implied=True))
        else:
            answers.append((yield from _at(problem, replace(plan, eps=(eps,)), surrogate)))
    return answers


def _at(problem: Problem, plan: AttackPlan, surrogate: Classifier) -> Generator[Any, Any, Answer]:
    (answer,) = yield from attack_job(replace(problem, classifier=surrogate), plan)
    if answer.restart is None:  # at its goal before
        return answer
    return replace(answer, outcome=_judged(problem, plan.target, answer.outcome))


def _judged(problem: Problem, target: int, outcome: Outcome) -> Outcome:
    """The same points as the network that counts sees them, at two passes more."""
    points = torch.stack([outcome.pixels, outcome.saved]).to(problem.classifier.device)
    logits = problem.classifier.logits(points).cpu()
    found, saved = logits[:1], logits[1:]
    leave, goal, share = Goal.of(problem.label), Goal.of(problem.label, target), problem.classifier.certainty
    return replace(
        outcome,
        logits=found[0],
        saved_logits=saved[0],
        misclassified=bool(leave.reached(found)),
        misclassified_as_saved=bool(certain(leave, saved, share)),
        reached=bool(goal.reached(found)),
        reached_as_saved=bool(certain(goal, saved, share)),
        claimed=False,
        verification_passes=outcome.verification_passes + 2,
    )
