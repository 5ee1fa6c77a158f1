"""AutoAttack: an ensemble of attacks without settings, of which an image has to withstand all.

Source: Croce and Hein 2020, https://arxiv.org/abs/2003.01690, section 5; for l1 Croce and Hein 2021,
https://arxiv.org/abs/2103.01208, section 5.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from advcli.attacks import _apgd
from advcli.attacks.apgd_ce import ApgdCe
from advcli.attacks.apgd_dlr import ApgdDlr
from advcli.attacks.apgd_t import ApgdT
from advcli.attacks.fab_t import FabWithin
from advcli.attacks.square import Square
from advcli.core.attack import Member, Traits
from advcli.errors import UsageError

_SAMPLES = 20

_UNTARGETED = "its members aim at classes of their own, and any misclassification counts"


@dataclass(frozen=True)
class Autoattack:
    """Attack an image with one member after the other while it survives.

    ``standard``: ``apgd-ce``, ``apgd-t``, ``fab-t`` and ``square``, with 100 steps, 9 targets (or as many other
    classes as there are) and 5,000 queries; in l1 ``apgd-ce`` has 5 restarts and there are 5 targets. ``quick``:
    ``apgd-ce`` with 30 steps, ``apgd-t`` with 50 steps toward 5 classes and 100 queries of ``square``, at most a
    tenth of the cost; what it finds robust may not be. ``rand``, for networks with randomness inside: ``apgd-ce``
    and ``apgd-dlr`` on the expectation over ``samples`` passes; what was found is judged by the mean probabilities
    of as many passes of its own. A record's ``stage`` says which member broke the image. With fewer than four
    classes the loss of ``apgd-t`` is the margin.

    Args:
        norm: of the ball; its radius is each row's eps, in pixel units.
        version: which ensemble.
        steps: of ``apgd-ce``, ``apgd-t`` and ``fab-t``, instead of the version's.
        queries: of ``square``, instead of the version's.
        samples: passes of the network that stand for one, of ``version=rand`` alone. Default 20, as in the authors'
            code.
    """

    traits: ClassVar[Traits] = Traits(norms=("linf", "l2", "l1"), targets="never", untargeted=_UNTARGETED)

    norm: Literal["linf", "l2", "l1"] = "linf"
    version: Literal["standard", "quick", "rand"] = "standard"
    steps: int | None = None
    queries: int | None = None
    samples: int = _SAMPLES

    def __post_init__(self) -> None:
        """Refuse settings that the version has no use for.

        Raises:
            UsageError: ``samples`` without ``version=rand``, or ``queries`` with it.
        """
        random = self.version == "rand"
        if self.samples != _SAMPLES and not random:
            raise UsageError(f"autoattack: samples={self.samples} is for version=rand alone", "add version=rand")
        if self.queries is not None and random:
            raise UsageError(
                f"autoattack: queries={self.queries} is for square, which version=rand lacks", "leave it out"
            )

    @property
    def expectation(self) -> int:
        """Passes of the network that stand for one."""
        return self.samples if self.version == "rand" else 1

    def members(self, classes: int) -> tuple[Member, ...]:
        """The stages, in order; members of one name race."""
        quick = self.version == "quick"
        steps = self.steps or 100
        targets = 5 if quick or self.norm == "l1" else 9
        first = ApgdCe(self.norm, 30 if quick and self.steps is None else steps, 5 if self.norm == "l1" else 1)
        if self.version == "rand":
            return (Member("apgd-ce", first), Member("apgd-dlr", ApgdDlr(self.norm, steps, first.restarts)))
        toward = ApgdT(self.norm, 50 if quick and self.steps is None else steps, targets).members(classes)
        within = tuple(Member("fab-t", FabWithin(self.norm, steps), member.aim) for member in toward)
        last = Square(norm=self.norm, steps=self.queries or (100 if quick else 5000), rescale_schedule=quick)
        return (Member("apgd-ce", first), *toward, *(() if quick else within), Member("square", last))

    def remark(self, classes: int) -> str | None:
        """Say where there are too few classes for the loss."""
        return _apgd.remark_for("autoattack", classes)
