"""One attempt: one attack on one image, with the random numbers that belong to it."""

from dataclasses import dataclass, field

from torch import Tensor

from advcli.core.attack import Attack
from advcli.core.radii import Shares
from advcli.models.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Attempt:
    """One attack on one image.

    Args:
        classifier: what is attacked.
        attack: with its settings.
        image: (3, H, W) float32, on the grid of eight-bit pictures.
        label: class of the image.
        target: class to reach, or -1 to leave the label.
        aim: class that the losses aim at, or -1 for the goal's own.
        eps: used as the attack's traits say, in pixel units; a count for l0.
        shares: what of eps is the radius of each channel; none where it holds in all of them.
        key: of the random numbers, from ``core.randomness.key``.
        donor: (3, H, W) where the attack begins at a donor; none otherwise.
        queries: forward and backward passes that the attempt may cost at most; none for the flow's own bound.
        part: share of all that may be tried on the image that this attempt is, for the progress that is shown.
        before: share that was tried before it.
    """

    classifier: Classifier
    attack: Attack
    image: Tensor
    label: int
    target: int = -1
    aim: int = -1
    eps: float = 0.0
    shares: Shares | None = None
    key: tuple[int, ...] = field(kw_only=True)
    donor: Tensor | None = None
    queries: int | None = None
    part: float = 1.0
    before: float = 0.0
