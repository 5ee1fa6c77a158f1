"""The driver: runs any attack over rows, and judges for itself what came of it.

One forward pass gives the logits that both judge the current pixels and feed the next step. A row that is done leaves,
the rows that remain close up, and new images take the free places: an attack on an image costs what that image needs.
The driver measures success, distance and cost itself and never takes the attack's word for any of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.core.attack import Attack, Traits, traits
from advcli.core.grid import SLACK
from advcli.core.rows import Rows
from advcli.core.shapes import Integers, Logits, Pixels
from advcli.engine.judging import Judge, ball_of
from advcli.engine.outcome import Outcome
from advcli.errors import ContractError
from advcli.models.classifier import Classifier
from advcli.models.looking import Look

GIVEN = ("index", "images", "eps", "label", "target", "age", "passes", "key")  # what an attack reads and never replaces


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
    judge = Judge(classifier, traits(attack), Outcome.blank(rows, len(classifier.card.classes)), early_exit=early_exit)
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


def _started(attack: Attack, what: Traits, rows: Rows) -> Rows:
    rows.adversarial = rows.images.clone()
    with _held(attack, what, rows):
        attack.start(rows, rows.noise)
    return rows


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
    ball = ball_of(what)
    if ball is not None:
        beyond = ball.size(pixels - rows.images) - rows.eps * (1 + SLACK) - SLACK
        if (beyond > 0).any():
            raise ContractError(f"{name} left its {what.norm} ball by {float(beyond.max()):.3g}")
