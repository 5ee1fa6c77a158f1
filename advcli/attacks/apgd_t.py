"""Auto-PGD toward one class after another: the targeted difference of logits ratio, for any misclassification.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, section 4.1 and equation 7; Croce and Hein 2021,
https://arxiv.org/abs/2103.01208, section 4.4 (five targets in l1).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from advcli.attacks import _apgd
from advcli.attacks.apgd_dlr import ApgdDlr
from advcli.core.attack import Member, Traits

_UNTARGETED = "it aims at the most probable classes itself, and any misclassification counts"


@dataclass(frozen=True)
class ApgdT:
    """Run ``apgd-dlr`` once toward each of the classes that are most probable on the clean image.

    Whatever misclassification a search meets on its way counts. The searches of an image race: the one that needs the
    fewest steps wins, the earlier one among equals, and the others are given up. With fewer than four classes the loss
    is the margin, and with two there is one target.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        steps: gradient evaluations toward each class. Default 100, as in the paper.
        targets: number of classes that are aimed at, of those beside the label; more than there are means all. Default
            9, as in the paper; AutoAttack aims at 5 in l1.
    """

    traits: ClassVar[Traits] = Traits(
        norms=("linf", "l2", "l1"), channels=("linf", "l2"), targets="never", untargeted=_UNTARGETED
    )

    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = 100
    targets: int = 9

    def members(self, classes: int) -> tuple[Member, ...]:
        """One search toward each class that is aimed at."""
        attack = ApgdDlr(self.norm, self.steps)
        return tuple(Member("apgd-t", attack, rank) for rank in range(1, min(self.targets, classes - 1) + 1))

    def remark(self, classes: int) -> str | None:
        """Say where there are too few classes for the loss."""
        return _apgd.remark_for("apgd-t", classes)
