"""What is attempted on every image: attacks, budgets and targets, put together from options and checked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from advcli.core.attack import norm_of
from advcli.core.choices import EpsSpace
from advcli.core.norms import Norm, check_eps, default_eps
from advcli.core.radii import Shares, shares_of
from advcli.errors import UsageError
from advcli.models.card import Card
from advcli.models.loading import ModelRequest
from advcli.registry import Method, Quantity
from advcli.search.wanted import Wanted

TRANSFER = "transfer"


@dataclass(frozen=True)
class Cell:
    """One cell of the grid of attacks, on one model.

    Args:
        method: the attack.
        norm: of its ball; none where it has none.
        eps: radius, that of the widest channel; none where the attack knows none.
        target: what ``--target`` said; of ``all`` one of the classes.
        smallest: resolution of the search for the smallest eps; none where eps is given.
        surrogate: name and fingerprint of the network that the attack sees; none where it sees the one that counts.
        shares: what of eps is the radius of each channel; none where it holds in all of them.
        unit: what a typed radius of 1 is in the widest channel, in pixel units; none where radii are typed in pixels.
    """

    method: Method
    norm: Norm | None
    eps: Quantity | None
    target: str
    smallest: Quantity | None = None
    surrogate: tuple[str, str] | None = None
    shares: Shares | None = None
    unit: float | None = None

    @cached_property
    def name(self) -> str:
        """Name of the random numbers: the method, its settings, and which use of it this is."""
        again = self.method.occurrence
        name = self.method.id if self.surrogate is None else f"{self.method.id}-from-{self.surrogate[0]}"
        return name if again == 1 else f"{name}-{again}"

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        return {
            "method": self.method.name,
            "settings": {**self.method.settings, **self._surrogate},
            "norm": self.norm,
            "eps": None if self.eps is None else self.eps.value,
            "target_rule": self.target,
        }

    @property
    def _surrogate(self) -> dict[str, object]:
        return dict(zip(("surrogate", "surrogate_fingerprint"), self.surrogate or (), strict=False))

    @property
    def words(self) -> tuple[str | None, ...]:
        """Values that the id of the case is made of."""
        eps = f"min{self.smallest.text}" if self.smallest else self.eps.text if self.eps else None
        source = f"from-{self.surrogate[0]}" if self.surrogate else None
        return (self.method.id, source, eps, None if self.target == "none" else self.target)


@dataclass(frozen=True)
class AttackConfig:
    """What is attempted on every image.

    Args:
        methods: attacks with their settings; one may bring its own eps.
        eps: radii of the ball for the other methods, in pixel units; by default one per norm, see ``default_eps``.
        targets: what to reach, ``none`` to leave the label; see ``choose_targets``. By default ``none``, and
            ``second`` for attacks that need a target.
        early_exit: let an image go at its first success.
        queries: forward and backward passes that an image may cost at most; none for no bound.
        min_eps: find each image's smallest eps to this resolution, in pixel units, up to the largest of ``eps``.
        diagnose: look for signs that images withstand because the attack is weak; ``autoattack`` always does.
        time_budget: seconds after which no more images are attacked; what is under way then is given up, and done by
            the same command again. None for no end.
        surrogate: the network that ``transfer`` attacks; none where there is none.
        eps_space: what typed radii are measured in: ``pixel`` units in [0, 1], or ``normalized`` ones, behind the
            division by the model's std. The ball then has another radius in each channel, see ``core/radii.py``; a
            count of values, for l0, is the same in both.
        keep_size: attack photographs in their own size, through the model's resize and crop.

    Raises:
        UsageError: an option has no meaning for any of the methods, or contradicts another.
    """

    methods: tuple[Method, ...]
    eps: tuple[Quantity, ...] = ()
    targets: Wanted = field(default_factory=Wanted)
    early_exit: bool = True
    queries: int | None = None
    min_eps: Quantity | None = None
    diagnose: bool = False
    time_budget: float | None = None
    surrogate: ModelRequest | None = None
    eps_space: EpsSpace = "pixel"
    keep_size: bool = False

    def __post_init__(self) -> None:
        """Refuse what no method has a use for."""
        norms = {norm_of(method.build()) for method in self.methods if not method.eps and uses_eps(method)}
        if self.eps and not norms:
            named = self.methods[0].name
            raise UsageError(f"{named} has no use for --eps {self.eps[0].text}", "leave out --eps")
        if self.eps and len(norms) > 1:
            spoken = " and ".join(sorted(str(norm) for norm in norms))
            raise UsageError(
                f"--eps {self.eps[0].text} cannot hold for methods of {spoken} at once",
                f"say it for each: --method {self.methods[0].name}:norm=l2,eps=0.5",
            )
        if self.min_eps is not None and not any(uses_eps(method) for method in self.methods):
            raise UsageError(f"{self.methods[0].name} has no eps to search", "leave out --min-eps")
        if self.time_budget is not None and not 0 < self.time_budget < math.inf:
            raise UsageError(f"--time-budget {self.time_budget:g} is no time", "give seconds above 0")
        self._check_surrogate()
        self._check_space()
        words = self.targets.words
        if words and not any(_fits(method, target) for method in self.methods for target in words):
            method, target = self.methods[0], words[0]
            raise UsageError(*_misfit(method, target))

    def _check_space(self) -> None:
        given = self.eps or any(method.eps for method in self.methods)
        if self.eps_space == "normalized" and not given:
            raise UsageError("--eps-space normalized says how --eps is meant", "give --eps, such as --eps 0.03")

    def _check_surrogate(self) -> None:
        transfers = any(method.name == TRANSFER for method in self.methods)
        if transfers and self.surrogate is None:
            raise UsageError("transfer needs another network to attack", "add --surrogate MODEL")
        if self.surrogate is not None and not transfers:
            raise UsageError(f"--surrogate {self.surrogate.name} is for transfer alone", "add --method transfer")
        if transfers and self.min_eps is not None:
            raise UsageError("transfer has no --min-eps: its success does not steer the search", "give --eps")

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        return {
            "early_exit": self.early_exit,
            "queries": self.queries,
            "diagnose": self.diagnose,
            "eps_space": self.eps_space,
            "keep_size": self.keep_size,
        }

    def diagnoses(self, cell: Cell) -> bool:
        """Say whether what withstands an attack is looked at again."""
        return (self.diagnose or cell.method.name == "autoattack") and cell.surrogate is None

    def cells(self, card: Card, surrogate: tuple[str, str] | None = None) -> tuple[list[Cell], list[str]]:
        """List the cells of the grid for a model.

        Args:
            card: of the model: radii depend on the size of its input, targets on its classes.
            surrogate: name and fingerprint of the network that ``transfer`` attacks.

        Returns:
            The cells, and a sentence for each combination that makes no sense.

        Raises:
            UsageError: an eps beyond the bound of its norm, a resolution above eps, a target that the model does not
                have, or normalized radii that differ by channel for an attack that knows one.
        """
        cells: list[Cell] = []
        skipped: list[str] = []
        std = card.preprocessing.std
        meant = {word: self.targets.for_classes(word, card.classes) for word in self.targets.words}
        for method in self.methods:
            norm = norm_of(method.build())
            targets: list[str] = []
            for word in self.targets.words or (_default_target(method),):
                if _fits(method, word):
                    targets += meant.get(word, [word])
                else:
                    skipped.append("; ".join(_misfit(method, word)))
            for target in dict.fromkeys(targets):
                for eps in self._radii(method, norm, card):
                    smallest = None if eps is None else self._resolution(eps, norm, card)
                    seen = surrogate if method.name == TRANSFER else None
                    behind = eps is not None and self._converts(norm)
                    space = (_shares(method, norm, std), max(std)) if behind else (None, None)
                    cells.append(Cell(method, norm, eps, target, smallest, seen, *space))
            if self.eps and not uses_eps(method):
                skipped.append(f"{method.name} has no use for --eps and runs once")
        return cells, skipped

    def _radii(self, method: Method, norm: Norm | None, card: Card) -> Sequence[Quantity | None]:
        """Radii of one method, ascending, each once; with ``--min-eps`` the largest alone."""
        if not uses_eps(method):
            return (None,)
        size = card.preprocessing.size
        typed = [self._in_pixels(eps, norm, card) for eps in method.eps or self.eps]
        given = typed or [default_eps(norm or "linf", size)]
        for eps in given:
            check_eps(norm or "linf", eps, size)
        ordered = sorted({eps.value: eps for eps in reversed(given)}.values(), key=lambda eps: eps.value)
        return ordered[-1:] if self.min_eps else ordered

    def _resolution(self, eps: Quantity, norm: Norm | None, card: Card) -> Quantity | None:
        """Turn ``--min-eps`` into pixel units; none without."""
        if self.min_eps is None:
            return None
        resolution = self._in_pixels(self.min_eps, norm, card)
        if resolution.value > eps.value:
            raise UsageError(
                f"--min-eps {resolution.text} is more than eps {eps.text}, up to which it searches",
                "give the resolution of the search, such as --min-eps 0.25/255",
            )
        return resolution

    def _in_pixels(self, eps: Quantity, norm: Norm | None, card: Card) -> Quantity:
        """Turn a typed radius into pixel units of the widest channel."""
        return Quantity(eps.text, eps.value * max(card.preprocessing.std)) if self._converts(norm) else eps

    def _converts(self, norm: Norm | None) -> bool:
        return self.eps_space == "normalized" and norm != "l0"


def _shares(method: Method, norm: Norm | None, std: Sequence[float]) -> Shares | None:
    """Say what of a normalized radius each channel has; none where it is the same in all.

    Raises:
        UsageError: the attack knows one radius for all channels, and they differ.
    """
    shares = shares_of(std)
    if shares is not None and norm not in (None, *method.build().traits.channels):
        raise UsageError(
            f"{method.name} in {norm} knows one radius for all channels, and --eps-space normalized has three",
            "give --eps in pixels without --eps-space, or use --method pgd",
        )
    return shares


def uses_eps(method: Method) -> bool:
    """Say whether an attack has a use for eps."""
    return bool(method.build().traits.eps != "unused")


def _default_target(method: Method) -> str:
    return "second" if method.build().traits.targets == "must" else "none"


def _fits(method: Method, target: str) -> bool:
    targets = method.build().traits.targets
    return bool(targets == "may" or (targets == "never") == (target == "none"))


def _misfit(method: Method, target: str) -> tuple[str, str]:
    if target == "none":
        return f"{method.name} needs a target", "add --target second, least, random or a class"
    why = method.build().traits.untargeted
    return f"{method.name} cannot be given the target {target}{why and f': {why}'}", "leave out --target"
