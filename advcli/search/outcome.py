"""What an attempt came to: its best point in float and as saved, and what it cost."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from advcli.core.goals import Goal, lead
from advcli.core.precision import exact, wide
from advcli.core.shapes import Flags, Logits
from advcli.models.classifier import CERTAIN
from advcli.search.changes import Change, changes


@dataclass(frozen=True, eq=False)
class Outcome:
    """The best points of one attempt; all tensors are on the CPU.

    The float point is the success that the attack keeps: the first (without early exit the latest), or the nearest.
    Where no visited point is a success, it is the one with the highest margin. Where only a picture is a success, that
    picture is the float point too.

    Attributes:
        pixels: (3, H, W) float32, the float point.
        saved: (3, H, W) float32, the best picture: on the grid of eight-bit pictures, inside the ball.
        logits: (K,) fp32 logits of ``pixels``.
        saved_logits: (K,) fp32 logits of ``saved``.
        misclassified: ``pixels`` are not classified as the label.
        misclassified_as_saved: nor is ``saved``, by more than rounding errors of the network.
        reached: ``pixels`` are a success: at the goal, within eps where the attack is free to roam, and counted.
        reached_as_saved: ``saved`` is at the goal, by more than rounding errors of the network.
        distance: of ``pixels`` from the image, in the attack's measure.
        change: how far both lie from the image, see ``search/changes.py``.
        forward_passes: of the search.
        backward_passes: of the search.
        verification_passes: forward passes that checked what the search found.
        steps: made until the row ended.
        claimed: a point was a success in the precision of the search, and none is in fp32.
        course: of the margin by which the goal is reached: the lowest of all visits, the highest before the last steps
            (ten, or a quarter of them where there are fewer than forty), the highest. Not finite where the attack
            proposes and accepts.
    """

    pixels: Tensor
    saved: Tensor
    logits: Tensor
    saved_logits: Tensor
    misclassified: bool
    misclassified_as_saved: bool
    reached: bool
    reached_as_saved: bool
    distance: float
    change: Change
    forward_passes: int
    backward_passes: int
    verification_passes: int
    steps: int
    claimed: bool = False
    course: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def unmoved(cls, image: Tensor, logits: Tensor, label: int, target: int = -1) -> "Outcome":
        """Make the outcome of an image that is not attacked: itself, at no cost.

        Args:
            image: (3, H, W), on the grid of eight-bit pictures.
            logits: (K,) fp32 logits of the image.
            label: class of the image.
            target: class to reach, or -1.
        """
        image, logits = image.cpu(), logits.cpu()
        row = exact(logits)
        least = CERTAIN * float(np.abs(row).max())
        left = -lead(row, label)
        reached = left if target < 0 else lead(row, target)
        (change,) = changes(image[None], image[None], image[None])
        verdicts = (left > 0, left > least, reached > 0, reached > least)
        return cls(image, image, logits, logits, *verdicts, 0.0, change, 0, 0, 0, 0)

    @property
    def rank(self) -> int:
        """0 for no success, 1 for one in float alone, 2 for one as saved."""
        return 2 if self.reached_as_saved else int(self.reached)


def certain(goal: Goal, logits: Logits, share: float = CERTAIN) -> Flags:
    """Say which rows are at their goal by more than the network's rounding errors.

    Args:
        goal: of the rows.
        logits: (N, K).
        share: of the largest logit, that rounding errors stay below; see ``Classifier.certainty``.
    """
    return goal.reached(logits, share * wide(logits).abs().amax(1))
