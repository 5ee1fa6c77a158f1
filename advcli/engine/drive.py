"""The driver: runs any attack over rows, and judges for itself what came of it.

One forward pass gives the logits that both judge the current pixels and feed the next step. A row that is done leaves,
the rows that remain close up, and new images take the free places: an attack on an image costs what that image needs.
The driver measures success, distance and cost itself and never takes the attack's word for any of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.attack import Attack, Traits, traits
from advcli.core.goals import Goal
from advcli.core.grid import SLACK, to_grid
from advcli.core.norms import BALLS, Ball
from advcli.core.rows import Rows
from advcli.core.shapes import Flags, Floats, Integers, Logits, Pixels
from advcli.errors import ContractError
from advcli.models.classifier import Classifier
from advcli.models.looking import Look

# Of the largest logit: more than folding, another batch size, thread count or device changes it by. A picture that
# fools the network by less might not fool it on the next machine, and is not counted as fooling it when saved.
CERTAIN = 1e-4
GIVEN = ("index", "images", "eps", "label", "target", "age", "passes", "key")  # what an attack reads and never replaces
NOTHING, IN_FLOAT, AS_SAVED = 0, 1, 2  # how good the best point of a row is; -1 before there is any


@dataclass
class Outcome:
    """The best point found for each row: adversarial as saved, else in float, else where the search ended.

    Attributes:
        pixels: (N, 3, H, W) float32, as the attack left them.
        saved: (N, 3, H, W) the same on the grid of eight-bit pictures, inside the ball.
        logits: (N, K) fp32 logits of ``pixels``.
        saved_logits: (N, K) fp32 logits of ``saved``.
        rank: (N,) NOTHING, IN_FLOAT or AS_SAVED: whether the goal is reached.
        distance: (N,) from the image to ``saved``, in the attack's norm.
        passes: (N,) forward passes of the search and of the checks of what it found.
        pulls: (N,) backward passes.
    """

    pixels: Pixels
    saved: Pixels
    logits: Logits
    saved_logits: Logits
    rank: Integers
    distance: Floats
    passes: Integers
    pulls: Integers

    @classmethod
    def blank(cls, rows: Rows, classes: int) -> "Outcome":
        """Nothing found yet."""
        count = torch.zeros_like(rows.index)
        logits = rows.images.new_zeros(len(rows), classes)
        return cls(
            rows.images.clone(), rows.images.clone(), logits, logits.clone(), count - 1,
            torch.full_like(rows.eps, torch.inf), count.clone(), count.clone(),
        )  # fmt: skip

    @classmethod
    def unmoved(cls, rows: Rows, logits: Logits) -> "Outcome":
        """The images themselves, by their own logits, at no cost."""
        outcome = cls.blank(rows, logits.shape[1])
        outcome.logits, outcome.saved_logits = logits.clone(), logits.clone()
        outcome.rank = certain(rows.goal, logits).long() * AS_SAVED
        outcome.distance = torch.zeros_like(rows.eps)
        return outcome

    def put(self, places: Flags, found: "Outcome") -> None:
        """Replace some rows by what was found for them."""
        for name in vars(self):
            getattr(self, name)[places] = getattr(found, name)


def certain(goal: Goal, logits: Logits) -> Flags:
    """Say which rows are at their goal by more than the network's rounding errors."""
    return goal.reached(logits, CERTAIN * logits.double().abs().amax(1))


def new_rows(images: Pixels, label: Integers, target: Integers, keys: Tensor, eps: float) -> Rows:
    """Make rows for the driver: one per image, at its image, nothing drawn, nothing spent."""
    zero = torch.zeros_like(label)
    return Rows(
        index=torch.arange(len(label), device=label.device),
        images=images,
        eps=torch.full((len(label),), eps, device=label.device),
        label=label,
        target=target,
        adversarial=images,
        age=zero,
        passes=zero,
        pulls=zero,
        key=keys,
        drawn=zero,
    )


def drive(attack: Attack, classifier: Classifier, rows: Rows, *, in_flight: int, early_exit: bool = True) -> Outcome:
    """Run an attack.

    Args:
        attack: start, step and traits.
        classifier: what to fool.
        rows: as ``Rows`` describes them, new; ``images`` on the grid of eight-bit pictures.
        in_flight: rows that are attacked at a time; changes speed and memory, never a result.
        early_exit: let a row go when its saved picture reaches the goal. Otherwise every row makes all its steps and
            the last success is kept.

    Returns:
        One entry per row, in the order of ``rows``.

    Raises:
        ContractError: the attack left [0, 1] or its ball, replaced what it was given, or used a gradient it had said
            it did not need.
    """
    judge = _Judge(classifier, traits(attack), early_exit, Outcome.blank(rows, len(classifier.card.classes)))
    waiting, active = rows, rows[:0]
    while len(waiting) or len(active):
        entering, waiting = waiting[: in_flight - len(active)], waiting[in_flight - len(active) :]
        parts = [active, _started(attack, judge.traits, entering)] if len(entering) else [active]
        active = Rows.join([part for part in parts if len(part)])
        look = classifier.look(active.adversarial, gradient=judge.traits.needs == "gradient")
        active.passes = active.passes + 1
        stay = ~judge(active, look.logits, active.age >= attack.steps)
        active = active[stay]
        if len(active):
            logits = _visible(look.logits[stay], judge.traits)
            with _held(attack, judge.traits, active):
                attack.step(active, logits, partial(_pull, judge.traits, active, look, stay.nonzero()[:, 0]))
            active.age = active.age + 1
    return judge.best


class _Judge:
    """Looks at every point the attack visits and keeps the best of each row."""

    def __init__(self, classifier: Classifier, what: Traits, early_exit: bool, best: Outcome) -> None:  # noqa: FBT001
        self.classifier = classifier
        self.traits = what
        self.early_exit = early_exit and what.keeps == "first"
        self.ball = _ball(what)
        self.measure = BALLS[what.norm or "l2"]
        self.best = best

    def __call__(self, rows: Rows, logits: Logits, ended: Flags) -> Flags:
        """Judge the rows' current pixels by their logits and say which rows are done."""
        if self.traits.finished is not None:
            ended = ended | self.traits.finished(rows)
        worth = rows.goal.reached(logits)
        if self.traits.keeps == "smallest":
            nearer = self.measure.size(rows.adversarial - rows.images) < self.best.distance[rows.index]
            worth = worth & (nearer | (self.best.rank[rows.index] < AS_SAVED))
        worth = worth | (ended & (self.best.rank[rows.index] <= NOTHING))
        if worth.any():
            self._weigh(rows, worth, logits)
        rank = self.best.rank[rows.index]
        done = ended | (rank == AS_SAVED) if self.early_exit else ended
        self.best.passes[rows.index], self.best.pulls[rows.index] = rows.passes, rows.pulls
        return done

    def _weigh(self, rows: Rows, worth: Tensor, logits: Logits) -> None:
        """Look at some rows' pixels as a PNG would hold them, and keep what is better than what there was."""
        found = rows[worth]
        saved = to_grid(found.adversarial, found.images, found.eps, self.ball)
        saved_logits = self.classifier.logits(saved)
        rows.passes = rows.passes + worth
        if self.classifier.precision == "fp32":
            exact = logits[worth]
        else:
            exact = self.classifier.logits(found.adversarial)
            rows.passes = rows.passes + worth
        rank = found.goal.reached(exact).long() * IN_FLOAT
        rank = torch.where(certain(found.goal, saved_logits), AS_SAVED, rank)
        distance = self.measure.size(saved - found.images)
        better = self._better(rank, distance, found.index)
        place = found.index[better]
        for name, value in (
            ("pixels", found.adversarial), ("saved", saved), ("logits", exact), ("saved_logits", saved_logits),
            ("rank", rank), ("distance", distance),
        ):  # fmt: skip
            getattr(self.best, name)[place] = value[better]

    def _better(self, rank: Integers, distance: Floats, index: Integers) -> Flags:
        before = self.best.rank[index]
        if self.traits.keeps == "smallest":
            among_equals = distance < self.best.distance[index]
        else:  # the latest, unless the first was good enough
            among_equals = torch.full_like(before, not self.early_exit, dtype=torch.bool)
        return (rank > before) | ((rank == before) & (among_equals | (rank == NOTHING)))


def _started(attack: Attack, what: Traits, rows: Rows) -> Rows:
    rows.adversarial = rows.images.clone()
    with _held(attack, what, rows):
        attack.start(rows, rows.noise)
    return rows


def _ball(what: Traits) -> Ball | None:
    return BALLS[what.norm] if what.norm is not None and what.scale == "ball" else None


def _visible(logits: Logits, what: Traits) -> Logits:
    """Show an attack no more than it said it needs."""
    if what.needs == "labels":
        return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits.dtype)
    return logits


def _pull(what: Traits, rows: Rows, look: Look, places: Integers, cotangent: Logits) -> Pixels:
    if what.needs != "gradient":
        raise ContractError(f"an attack that needs only {what.needs} asked for a gradient")
    rows.pulls = rows.pulls + 1
    return look.pull(cotangent, places)


@contextmanager
def _held(attack: Attack, what: Traits, rows: Rows) -> Iterator[None]:
    """Let an attack at its rows, and refuse what breaks the contract, whoever put it there."""
    name, given = type(attack).__name__, {name: getattr(rows, name) for name in GIVEN}
    yield
    for given_name, tensor in given.items():
        if getattr(rows, given_name) is not tensor:
            raise ContractError(f"{name} replaced rows.{given_name}, which is the driver's")
    pixels = rows.adversarial
    if pixels.shape != rows.images.shape or pixels.dtype != rows.images.dtype:
        raise ContractError(f"{name} gave pixels {tuple(pixels.shape)} of {pixels.dtype}")
    if not torch.isfinite(pixels).all():
        raise ContractError(f"{name} gave pixels that are not all finite")
    low, high = pixels.aminmax()
    if low < 0 or high > 1:
        raise ContractError(f"{name} left [0, 1]: its pixels span [{float(low):.6g}, {float(high):.6g}]")
    ball = _ball(what)
    if ball is not None:
        beyond = ball.size(pixels - rows.images) - rows.eps * (1 + SLACK) - SLACK
        if (beyond > 0).any():
            raise ContractError(f"{name} left its {what.norm} ball by {float(beyond.max()):.3g}")
