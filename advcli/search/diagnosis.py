"""Looks for signs that an image withstands an attack because the attack is weak.

The images that an attack did not change are looked at again: their gradients, their answers to noise, the course of
the search, and attacks that should not do better. The others are shown to random noise alone.

Source: Pintor et al. 2022, https://arxiv.org/abs/2106.09947, section 3; Carlini et al. 2019,
https://arxiv.org/abs/1902.06705, section 5.
"""

import dataclasses
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from advcli.attacks.fgsm import Fgsm
from advcli.attacks.square import Square
from advcli.attacks.uniform_noise import UniformNoise
from advcli.core.attack import Attack, Composed, norm_of
from advcli.core.goals import Goal
from advcli.core.norms import Norm, largest_eps
from advcli.core.precision import wide
from advcli.core.radii import column, radii
from advcli.core.randomness import RowNoise, key
from advcli.search.attempt import Attempt
from advcli.search.flow import Job
from advcli.search.outcome import Outcome
from advcli.search.plans import Answer, AttackPlan, Problem

_CONTROLLED: tuple[Norm, ...] = ("linf", "l2", "l1")  # norms in which the controls work
_COPIES = 16  # of the image, and points near it, whose logits and gradients are looked at
_NEAR, _POINTS = 8 / 255, 100  # radius and number of the points that show whether predictions are stable
_VALUES = 1 << 25  # of those points that are held in memory
_STABLE = 0.1  # mean relative change of the loss at these points
_SAME = 1e-3  # of the largest logit: what two looks may differ by
_STEEP = 10.0  # times that the logits' whole spread would change along one level
_LATE = 0.05  # share of the rise of the loss that may fall into the last steps
_DRAWS, _QUERIES = 10, 300  # of random noise, and of the black-box control


@dataclass(frozen=True)
class Diagnosis:
    """What was found about one image under one attack.

    Args:
        indicators: names of ``core.indicators``, in their order.
        figures: what they rest on, by name.
        passes: forward and backward passes that the diagnosis cost.
    """

    indicators: tuple[str, ...]
    figures: dict[str, float | None]
    passes: int


def diagnose(problem: Problem, plan: AttackPlan, answer: Answer, *, every: bool = True) -> Job[Diagnosis]:
    """Look again at one image after an attack.

    Args:
        problem: the image.
        plan: what was attempted.
        answer: what it came to at one eps.
        every: show random noise to an image that did not withstand, too.
    """
    withstood = not answer.outcome.reached
    if not withstood and not every:
        return Diagnosis((), {}, 0)
    controls = _controls(problem, plan, answer.eps, withstood=withstood)
    outcomes: dict[str, Outcome] = yield from _tried(controls)
    passes = sum(one.forward_passes + one.backward_passes for one in outcomes.values())
    figures: dict[str, float | None] = {f"{name}_success": float(one.reached) for name, one in outcomes.items()}
    if not withstood:
        return Diagnosis((), figures, passes)
    found, looked = _looks(problem, plan, answer.eps)
    figures |= found | _course(problem, plan, answer.outcome)
    climbs = plan.attack.traits.needs == "gradient"
    signs = {
        "zero-gradients": (figures.get("zero_gradients") or 0) >= 0.5,
        "exploding-gradients": (figures.get("steepness") or 0) > _STEEP,
        "unstable-predictions": climbs and (figures.get("instability") or 0) > _STABLE,
        "changing-predictions": (figures.get("disagreement") or 0) > _SAME,
        "no-progress": figures.get("rise") is not None and (figures["rise"] or 0) <= 0,
        "incomplete-optimization": (figures.get("late_rise") or 0) > _LATE,
        "lost-in-precision": answer.outcome.claimed,
        "one-step-wins": figures.get("one_step_success") == 1,
        "black-box-wins": figures.get("black_box_success") == 1,
        "noise-wins": figures.get("noise_success") == 1,
        "unbounded-fails": figures.get("unbounded_success") == 0,
    }
    return Diagnosis(tuple(name for name, seen in signs.items() if seen), figures, passes + looked)


def _controls(problem: Problem, plan: AttackPlan, eps: float, *, withstood: bool) -> dict[str, Attempt]:
    """Attempts that should not do better than the attack; where it succeeded, noise alone."""
    norm = norm_of(plan.attack)
    if norm not in _CONTROLLED or plan.attack.traits.eps == "unused":
        return {}
    attacks: dict[str, tuple[Attack, float]] = {"noise": (UniformNoise(norm, steps=_DRAWS), eps)}  # type: ignore[arg-type]
    if withstood:
        attack: Any = plan.attack
        composed = isinstance(attack, Composed)
        members = [one.attack for one in attack.members(len(problem.logits))] if composed else [attack]
        first = members[0]
        if first.traits.needs == "gradient":
            if not isinstance(first, Fgsm):
                attacks["one_step"] = Fgsm(norm=norm), eps
            fits = plan.shares is None or norm in Square.traits.channels
            if fits and not any(isinstance(one, Square) for one in members):
                attacks["black_box"] = Square(norm=norm, steps=_QUERIES), eps  # type: ignore[arg-type]
        if first.traits.eps in ("bound", "reach"):
            attacks["unbounded"] = first, largest_eps(norm, (problem.image.shape[1], problem.image.shape[2]))
    return {name: _attempt(problem, plan, name, attack, radius) for name, (attack, radius) in attacks.items()}


def _attempt(problem: Problem, plan: AttackPlan, name: str, attack: Attack, eps: float) -> Attempt:
    words = key(problem.seed, problem.sha256, plan.name, "diagnose", name, str(plan.target))
    shares = None if name == "unbounded" else plan.shares
    return Attempt(
        problem.classifier, attack, problem.image, problem.label, plan.target, eps=eps, shares=shares, key=words
    )


def _tried(controls: dict[str, Attempt]) -> Generator[Any, Any, dict[str, Outcome]]:
    outcomes: list[Outcome] = (yield list(controls.values())) if controls else []
    return dict(zip(controls, outcomes, strict=True))


def _looks(problem: Problem, plan: AttackPlan, eps: float) -> tuple[dict[str, float | None], int]:
    """Look at copies of the image, at points of its ball and at points near it; give figures and passes."""
    classifier, device = problem.classifier, problem.classifier.device
    image = problem.image.to(device)[None]
    copies = image.expand(_COPIES, -1, -1, -1)
    looks = torch.cat([classifier.look(copies, gradient=False).logits for _ in range(2)])
    spread = float(looks.abs().max()) or 1.0
    figures: dict[str, float | None] = {"disagreement": float((looks - looks[:1]).abs().max()) / spread}
    noise = RowNoise.of(problem.seed, [problem.sha256], plan.name, "diagnose", device=device)
    goal = Goal.of(problem.label, plan.target)
    at_image = float(goal.loss(problem.logits[None].cpu()))
    together = max(1, min(_POINTS, _VALUES // image.numel()))
    parts = [min(together, _POINTS - begin) for begin in range(0, _POINTS, together)]
    near = ((image + (noise.uniform(part, *image.shape[1:])[0] * 2 - 1) * _NEAR).clamp(0, 1) for part in parts)
    losses = _repeated(goal, _POINTS).loss(torch.cat([classifier.logits(pixels).cpu() for pixels in near]))
    figures["instability"] = float((losses - at_image).abs().mean()) / max(abs(at_image), _SAME * spread)
    passes = 2 * _COPIES + _POINTS
    if plan.attack.traits.needs == "gradient":
        figures |= _gradients(problem, plan, copies, noise, eps)
        passes += 2 * _COPIES
    return figures, passes


def _gradients(
    problem: Problem, plan: AttackPlan, copies: Tensor, noise: RowNoise, eps: float
) -> dict[str, float | None]:
    """Look at the gradient at the image and at points near it: share that is zero, and steepness."""
    held = norm_of(plan.attack) == "linf" and 0 < eps < 1
    radius = column(radii([eps if held else _NEAR], plan.shares if held else None, copies.device))
    drawn = noise.uniform(*copies.shape)[0] * 2 - 1
    drawn[0] = 0
    points = (copies + drawn * radius).clamp(0, 1)
    look = problem.classifier.look(points)
    goal = _repeated(Goal.of(problem.label, plan.target), _COPIES)
    cotangent = goal.ascent(look.logits.cpu()).to(look.logits)
    gradient = look.vjp(cotangent).flatten(1)
    logits = wide(look.logits)
    spread = (logits.amax(1) - logits.amin(1)).clamp(min=1e-12)
    finite = torch.isfinite(gradient).all(1)
    steepness = torch.where(finite, wide(gradient).abs().sum(1) / 255 / spread, torch.inf)
    return {
        "zero_gradients": float((gradient == 0).all(1).double().mean()),
        "steepness": float(steepness.median()) if finite.all() else 1e12,
    }


def _course(problem: Problem, plan: AttackPlan, outcome: Outcome) -> dict[str, float | None]:
    """Say how far the margin rose, as a share of the logits' spread, and which share of the rise came late."""
    lowest, earlier, peak = outcome.course
    searches = plan.attack.traits.keeps == "first" and plan.attack.traits.needs == "gradient"
    if not searches or outcome.steps < 2 or not math.isfinite(peak):
        return {}
    logits = wide(problem.logits.cpu())
    clean = float(Goal.of(problem.label, plan.target).margin(logits[None]))
    spread = float(logits.max() - logits.min()) or 1.0
    lowest = min(lowest, clean)
    late = (peak - max(earlier, lowest)) / (peak - lowest) if peak > lowest else 0.0
    return {"rise": (peak - clean) / spread, "late_rise": late}


def _repeated(goal: Goal, count: int) -> Goal:
    return dataclasses.replace(goal, label=goal.label.expand(count), target=goal.target.expand(count))
