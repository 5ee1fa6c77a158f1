"""What is attempted on every image: methods, budget and target, put together from options and checked."""

from collections.abc import Sequence
from dataclasses import dataclass

from advcli.core.attack import traits
from advcli.core.targets import TargetRule
from advcli.errors import UsageError
from advcli.models.card import Card
from advcli.models.classes import resolve_class
from advcli.registry import Method

DEFAULT_EPS = 8 / 255
TARGET_RULES = ("none", "second", "least", "random")


@dataclass(frozen=True)
class Threat:
    """What is attempted on every image.

    Args:
        methods: attacks with their settings.
        eps: radius of the ball, in pixel units; none where no method knows one.
        target: what to reach, ``none`` to leave the label; see ``choose_targets``.
        early_exit: let an image go at its first success.
    """

    methods: tuple[Method, ...]
    eps: float | None = DEFAULT_EPS
    target: str = "none"
    early_exit: bool = True

    def __post_init__(self) -> None:
        """Refuse what some method has no use for."""
        if self.eps is not None and not 0 < self.eps <= 1000:
            raise UsageError(f"--eps {self.eps:g} is not above 0", "eps is in pixel units: write --eps 8/255 or 0.03")
        for method in self.methods:
            targets = traits(method.build()).targets
            if targets == "never" and self.target != "none":
                raise UsageError(f"{method.name} cannot be given a target", "leave out --target")
            if targets == "must" and self.target == "none":
                raise UsageError(f"{method.name} needs a target", "add --target second, least, random or a class")

    @property
    def settings(self) -> dict[str, object]:
        """For the report."""
        return {
            "methods": {method.label: {"method": method.name, **method.settings} for method in self.methods},
            "eps": self.eps,
            "target": self.target,
            "early_exit": self.early_exit,
        }


def threat(methods: Sequence[Method], eps: float | None, target: str, *, early_exit: bool = True) -> Threat:
    """Put an attack's options together, defaults filled in.

    Args:
        methods: attacks.
        eps: as given; none where it was not.
        target: as given; where it was not (``""``), ``second`` for methods that need a target, else ``none``.
        early_exit: let an image go at its first success.

    Raises:
        UsageError: an option that a method has no use for.
    """
    known = [traits(method.build()) for method in methods]
    if not any(one.scale != "none" for one in known):
        if eps is not None:
            raise UsageError(f"{methods[0].name} has no ball: --eps is of no use to it", "leave out --eps")
    elif eps is None:
        eps = DEFAULT_EPS
    if not target:
        target = "second" if all(one.targets == "must" for one in known) else "none"
    return Threat(tuple(methods), eps, target, early_exit)


def target_rule(target: str, card: Card) -> TargetRule | int:
    """Turn ``--target`` into a rule or a class.

    Raises:
        UsageError: the model has no such class.
    """
    if target in TARGET_RULES:
        return target  # type: ignore[return-value]
    return resolve_class(target, card.classes)
