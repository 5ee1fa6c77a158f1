"""Attacks on detectors: adversarial pictures whose maps change under a probe no more than the clean picture's map does.

The attack of a run leaves a picture that is misclassified and may be flagged, because its map changes under the probe.
From there on each step goes one of two ways. Where the picture is misclassified, it raises the likeness of the maps of
the picture and of the probed picture, along the part of that gradient that leaves the attack's loss as it is; where it
is not, it climbs the attack's loss. A picture is done when its likeness is that of the clean picture under the same
probe: a map that changed less than that could be detected too. Every point that is looked at
is an eight-bit picture inside the attack's ball, and the one that is kept is misclassified; the attack's own picture
is among them, so success is never lost.

Source: Bryniarski et al. 2021, "Evading adversarial example detection defenses with orthogonal projected gradient
descent", https://arxiv.org/abs/2106.15023, sections 4.1 and 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from advcli.attributions._run import traits_of
from advcli.core.attack import norm_of
from advcli.core.choices import Probe
from advcli.core.goals import Goal
from advcli.core.grid import to_grid
from advcli.core.norms import BALLS, Norm
from advcli.core.precision import wide
from advcli.core.radii import largest, radii
from advcli.core.randomness import RowNoise
from advcli.core.records import AttackRecord
from advcli.core.shapes import Pixels
from advcli.engine._attacking import Attacked
from advcli.engine._comparing import digests_of
from advcli.engine._likeness import Likeness, ProbeComparison
from advcli.models.classifier import SMALLEST_STEADY, Classifier
from advcli.registry import Method
from advcli.runs.command import Case
from advcli.search.outcome import certain

STEPS = 40
REACH = 2.5  # times the radius, that all steps together can go
_TOGETHER = 2 * SMALLEST_STEADY  # small pictures, whose graphs are held several times over


def refusal(method: Method) -> str | None:
    """Say why a detector by the maps of a method cannot be attacked by gradients; none where it can."""
    if traits_of(method).differentiable:
        return None
    return (
        f"{method.name}: the detector by its maps is not attacked, which needs maps of one look at the picture itself"
    )


def without_ball(method: Method) -> str | None:
    """Say why no detector can be attacked after an attack; none where its pictures stay in a ball that has room."""
    attack = method.build()
    if norm_of(attack) is not None and attack.traits.eps in ("bound", "reach"):
        return None
    return f"{method.name}: no detector is attacked after it; it has no eps within which a map could be moved"


@dataclass(frozen=True)
class Adapter:
    """Attacks the detectors of a run.

    Args:
        seed: of the run.
        layer: names of the layers to watch, or none for the default.
    """

    seed: int
    layer: str | None

    def pictures(
        self, classifier: Classifier, attacked: Sequence[Attacked], probe: Probe, case: Case | None
    ) -> list[Tensor | None]:
        """Make a picture of each image that one detector takes for a clean one.

        Args:
            classifier: the model.
            attacked: images and what the attacks made of them.
            probe: of the detector.
            case: explanation whose maps it compares; none for the detector by the top probability.

        Returns:
            (3, H, W), eight-bit, misclassified, inside the attack's ball; none where the attack left no such picture.
        """
        found: list[Tensor | None] = [None] * len(attacked)
        groups: dict[Norm, list[int]] = {}
        for place, one in enumerate(attacked):
            norm = norm_of(one.case.payload[1].method.build()) if _is_attacked(one.record) else None
            if norm is not None:
                groups.setdefault(norm, []).append(place)
        exact = classifier.in_fp32()  # a derivative of a gradient has few bits to lose
        comparison, size = ProbeComparison(probe, case, self.layer), self.together([classifier])
        for norm, places in groups.items():
            for start in range(0, len(places), size):
                some = places[start : start + size]
                pictures = self._searched(exact, [attacked[place] for place in some], norm, comparison)
                for place, picture in zip(some, pictures, strict=True):
                    found[place] = picture
        return found

    @staticmethod
    def together(classifiers: Sequence[Classifier]) -> int:
        """Say how many images are best attacked together."""
        return max(_TOGETHER if one.block == SMALLEST_STEADY else one.block for one in classifiers)

    def _searched(
        self, classifier: Classifier, attacked: Sequence[Attacked], norm: Norm, comparison: ProbeComparison
    ) -> Pixels:
        """Make the pictures (N, 3, H, W) of images whose attacks have one norm."""
        state = _Search.of(classifier, attacked, norm)
        rows = torch.arange(len(attacked), device=classifier.device)
        wanted = self._compared(classifier, attacked, rows, state.images, comparison, -1).values
        for step in range(STEPS + 1):
            pictures = state.pictures(rows)
            alike = self._compared(classifier, attacked, rows, pictures, comparison, step)
            goal = Goal(state.goal.label[rows], state.goal.target[rows])
            lost = certain(goal, alike.first.logits, classifier.certainty)
            missing = (wanted[rows] - alike.values).clamp(min=0)
            state.keep(rows, pictures, torch.where(lost, missing, torch.inf))
            left = state.gap[rows] > 0
            if step == STEPS or not left.any():
                break
            ascent = alike.first.plain_gradient(goal.ascent(alike.first.logits))
            raised = _without(alike.gradient(), ascent)
            state.move(rows, torch.where(lost.view(-1, 1, 1, 1), raised, ascent))
            rows = rows[left]
        return state.best

    def _compared(
        self, classifier: Classifier, attacked: Sequence[Attacked], rows: Tensor, pixels: Pixels,
        comparison: ProbeComparison, step: int,
    ) -> Likeness:  # fmt: skip
        clean = [attacked[row].clean for row in rows.tolist()]
        noise = RowNoise.of(self.seed, digests_of(clean), "adaptive", str(step))  # not that of the detector itself
        return comparison.of(classifier, clean, pixels, noise)


@dataclass(eq=False)
class _Search:
    """Where the search for N pictures stands.

    Args:
        images: (N, 3, H, W) clean pixels.
        saved: the attack's own pictures.
        eps: radii, (N,) or (N, 3).
        norm: of the balls.
        goal: of the attack.
        point: where the search is.
        best: pictures with the smallest gap; the attack's own where no other was misclassified.
        gap: (N,) float64, by how much their likeness is below that of the clean pictures.
    """

    images: Pixels
    saved: Pixels
    eps: Tensor
    norm: Norm
    goal: Goal
    point: Pixels
    best: Pixels
    gap: Tensor

    @classmethod
    def of(cls, classifier: Classifier, attacked: Sequence[Attacked], norm: Norm) -> "_Search":
        """Begin at the attack's own pictures."""
        device = classifier.device
        saved = torch.stack([one.saved.to(device) for one in attacked])
        shares = attacked[0].case.payload[1].shares  # one model, and every attack has a ball
        eps = radii([one.record.eps or 0.0 for one in attacked], shares, device)
        goal = Goal(
            torch.tensor([one.clean.label for one in attacked], device=device),
            torch.tensor([_target(one) for one in attacked], device=device),
        )
        images = torch.stack([one.clean.pixels for one in attacked])
        none_yet = wide(torch.full_like(largest(eps), torch.inf))
        return cls(images, saved, eps, norm, goal, saved.clone(), saved.clone(), none_yet)

    def pictures(self, rows: Tensor) -> Pixels:
        """Round where the search is to eight-bit pictures inside their balls."""
        return to_grid(self.point[rows], self.images[rows], self.eps[rows], BALLS[self.norm])

    def keep(self, rows: Tensor, pictures: Pixels, gap: Tensor) -> None:
        """Keep the pictures whose gap is smaller than that of those before."""
        nearer = gap < self.gap[rows]
        self.best[rows[nearer]], self.gap[rows[nearer]] = pictures[nearer], gap[nearer]

    def move(self, rows: Tensor, direction: Pixels) -> None:
        """Take a step, and come back into the balls."""
        ball, eps = BALLS[self.norm], self.eps[rows]
        moved = ball.ascend(self.point[rows], direction, eps * REACH / STEPS)
        self.point[rows] = ball.project(moved, self.images[rows], eps)


def _is_attacked(record: AttackRecord) -> bool:
    """Say whether an attack made a misclassified picture of an image, within an eps."""
    wrong_before = {"already-wrong", "already-there"} & set(record.flags)
    return bool(record.eps and record.misclassified_as_saved and not wrong_before)


def _target(one: Attacked) -> int:
    """Class that has to be kept, -1 for any but the label: a target that was not reached counts for nothing."""
    kept = one.record.target if one.record.target_reached_as_saved else None
    return -1 if kept is None else one.clean.classes.index(kept)


def _without(gradient: Pixels, other: Pixels) -> Pixels:
    """Take away what of each gradient points along another one."""
    flat, along = wide(gradient.flatten(1)), wide(other.flatten(1))
    largest = along.abs().amax(1, keepdim=True)
    along = along / torch.where(largest > 0, largest, 1.0)
    length = along.square().sum(1, keepdim=True)
    share = (flat * along).sum(1, keepdim=True) / torch.where(length > 0, length, 1.0)
    return (flat - share * along).to(gradient.dtype).view_as(gradient)
