"""What is attempted on every image: attacks, budgets and targets, put together from options and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from advcli.core.attack import norm_of
from advcli.core.norms import Norm, check_eps, default_eps
from advcli.errors import UsageError
from advcli.registry import Method, Quantity
from advcli.search.wanted import Wanted


@dataclass(frozen=True)
class Cell:
    """One cell of the grid of attacks, on one model.

    Args:
        method: the attack.
        norm: of its ball; none where it has none.
        eps: radius; none where the attack knows none, or where the smallest one is searched.
        target: what ``--target`` said; of ``all`` one of the classes.
        smallest: resolution of the search for the smallest eps; none where eps is given.
    """

    method: Method
    norm: Norm | None
    eps: Quantity | None
    target: str
    smallest: Quantity | None = None

    @property
    def name(self) -> str:
        """Name of the random numbers: the method, its settings, and which use of it this is."""
        again = self.method.occurrence
        return self.method.id if again == 1 else f"{self.method.id}-{again}"

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        return {
            "method": self.method.name,
            "settings": dict(self.method.settings),
            "norm": self.norm,
            "eps": None if self.eps is None else self.eps.value,
            "target_rule": self.target,
        }

    @property
    def words(self) -> tuple[str | None, ...]:
        """Values that the id of the case is made of."""
        eps = f"min{self.smallest.text}" if self.smallest else self.eps.text if self.eps else None
        return (self.method.id, eps, None if self.target == "none" else self.target)


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

    Raises:
        UsageError: an option has no meaning for any of the methods, or contradicts another.
    """

    methods: tuple[Method, ...]
    eps: tuple[Quantity, ...] = ()
    targets: Wanted = field(default_factory=Wanted)
    early_exit: bool = True
    queries: int | None = None
    min_eps: Quantity | None = None

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
        words = self.targets.words
        if words and not any(_fits(method, target) for method in self.methods for target in words):
            method, target = self.methods[0], words[0]
            raise UsageError(*_misfit(method, target))

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        return {"early_exit": self.early_exit, "queries": self.queries}

    def cells(self, size: tuple[int, int], classes: Sequence[str]) -> tuple[list[Cell], list[str]]:
        """List the cells of the grid for a model.

        Args:
            size: (height, width) of the model's input, which radii in l2 and l1 depend on.
            classes: of the model.

        Returns:
            The cells, and a sentence for each combination that makes no sense.

        Raises:
            UsageError: an eps beyond the bound of its norm, or a target that the model does not have.
        """
        cells: list[Cell] = []
        skipped: list[str] = []
        meant = {word: self.targets.for_classes(word, classes) for word in self.targets.words}
        for method in self.methods:
            norm = norm_of(method.build())
            targets: list[str] = []
            for word in self.targets.words or (_default_target(method),):
                if _fits(method, word):
                    targets += meant.get(word, [word])
                else:
                    skipped.append("; ".join(_misfit(method, word)))
            for target in dict.fromkeys(targets):
                for eps in self._radii(method, norm, size):
                    smallest = self.min_eps if eps is not None else None
                    cells.append(Cell(method, norm, eps, target, smallest))
            if self.eps and not uses_eps(method):
                skipped.append(f"{method.name} has no use for --eps and runs once")
        return cells, skipped

    def _radii(self, method: Method, norm: Norm | None, size: tuple[int, int]) -> Sequence[Quantity | None]:
        """Radii of one method, ascending, each once; with ``--min-eps`` the largest alone."""
        if not uses_eps(method):
            return (None,)
        given = method.eps or self.eps or (default_eps(norm or "linf", size),)
        for eps in given:
            check_eps(norm or "linf", eps, size)
        ordered = sorted({eps.value: eps for eps in reversed(given)}.values(), key=lambda eps: eps.value)
        return ordered[-1:] if self.min_eps else ordered


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
    return f"{method.name} cannot be given the target {target}", "leave out --target"
