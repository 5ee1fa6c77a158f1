"""What an attack came to: the best point of every row, and what it cost."""

from dataclasses import dataclass

import torch

from advcli.core.goals import Goal
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Flags, Floats, Integers, Logits, Pixels

# Of the largest logit: more than folding, another batch size, thread count or device changes it by. A picture that
# fools the network by less might not fool it on the next machine, and is not counted as fooling it when saved.
CERTAIN = 1e-4
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
    return goal.reached(logits, CERTAIN * wide(logits).abs().amax(1))
