"""What an attack is to the rest of the project: a start, a step, and one frozen value that says what it needs."""

import difflib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

from torch import Tensor

from advcli.core.norms import Norm
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.errors import ContractError

Targets = Literal["never", "may", "must"]
Needs = Literal["gradient", "scores", "labels"]
Keeps = Literal["first", "smallest"]
EpsUse = Literal["bound", "magnitude", "reach", "unused"]
Begins = Literal["image", "donor"]
OPTIONAL = (
    "step",
    "propose",
    "accept",
    "finished",
    "steps_for",
    "counts",
    "members",
    "remark",
)  # methods the search looks for


@dataclass(frozen=True)
class Traits:
    """What an attack says of itself; a value that is none of those listed is refused where it is written.

    Args:
        norms: norms of the balls that the attack knows; empty where it knows none. A field ``norm`` of the attack
            chooses among them, otherwise the first counts.
        targets: whether the attack can be, or must be, given a class to reach.
        needs: ``gradient``, or only the ``scores`` of all classes, or only the predicted ``labels``.
        keeps: the ``first`` success, with which a row may leave; or the ``smallest``: the row makes all its steps, and
            the nearest success is kept.
        measure: norm in which the nearest success is chosen and distances are reported. By default the ball's norm,
            and l2 where there is none.
        eps: how the rows' eps is used. ``bound``: the radius of a ball that holds the rows, which the driver enforces.
            ``reach``: the rows roam freely, and only a success within eps counts. ``magnitude``: a size of the
            perturbation that nothing enforces. ``unused``: a given eps is refused. By default ``bound`` where there
            are norms and ``unused`` where there are none.
        channels: norms in which ``rows.eps`` may be one radius per channel, (N, 3); in others it is (N,).
        begins: at the ``image``, or at a ``donor``: a picture that already has the goal, given as ``rows.donor``.
        untargeted: why it cannot be given a class to reach, as the end of a sentence; only of ``targets="never"``.
        cost: forward and backward passes of one step, the look at the point it leads to included. What it says is
            used where the number of passes is bounded: no step begins that would exceed the bound.

    Raises:
        ContractError: a value that is not one of those listed.
    """

    norms: tuple[Norm, ...] = ()
    targets: Targets = "may"
    needs: Needs = "gradient"
    keeps: Keeps = "first"
    measure: Norm | None = None
    eps: EpsUse | None = None
    channels: tuple[Norm, ...] = ()
    begins: Begins = "image"
    untargeted: str = ""
    cost: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.eps is None:
            object.__setattr__(self, "eps", "bound" if self.norms else "unused")
        for name in ("norms", "channels"):
            norms = getattr(self, name)
            if not isinstance(norms, tuple):
                raise ContractError(f"Traits.{name} is {norms!r}, not a tuple of norms")
            for norm in norms:
                _known(name, norm, Norm)
        if self.measure is not None:
            _known("measure", self.measure, Norm)
        for name, choices in _CHOICES.items():
            _known(name, getattr(self, name), choices)
        if self.eps in ("bound", "reach") and not self.norms:
            raise ContractError(f"Traits.eps is {self.eps!r}, which needs norms to measure eps in")
        cost: Any = self.cost
        if not isinstance(cost, tuple) or [type(one) for one in cost] != [int, int] or min(cost) < 0:
            raise ContractError(f"Traits.cost is {cost!r}, not (forward passes, backward passes) of a step")


_CHOICES: dict[str, Any] = {"targets": Targets, "needs": Needs, "keeps": Keeps, "eps": EpsUse, "begins": Begins}


def _known(name: str, value: object, choices: Any) -> None:
    known = get_args(choices)
    if value not in known:
        close = difflib.get_close_matches(str(value), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        raise ContractError(f"Traits.{name} is {value!r}; {hint}")


@runtime_checkable
class Model(Protocol):
    """The classifier as a step sees it."""

    def vjp(self, cotangent: Tensor, where: Tensor | None = None) -> Tensor:
        """Give the gradient of <cotangent, logits> at the rows' current pixels: the vector-Jacobian product.

        Args:
            cotangent: (N, K), or (N, C, K) for C gradients of each row, which cost one backward pass each.
            where: mask (N,) or int64 indices (M,) of the rows that are wanted; only those pay, and the cotangent has
                one entry for each of them, in their order. By default all.

        Returns:
            (N, 3, H, W), or (N, C, 3, H, W); with ``where`` one entry per wanted row.
        """
        ...

    def query(self, pixels: Tensor, where: Tensor | None = None) -> Tensor:
        """Look at several candidates of every row, or of some rows.

        Every candidate counts as visited: it costs a forward pass and may be the success.

        Args:
            pixels: (N, Q, 3, H, W) in [0, 1].
            where: mask (N,) or int64 indices (M,) of the rows that are asked about; only those pay, and the pixels
                have one entry for each of them, in their order. By default all.

        Returns:
            (N, Q, K) logits, with ``where`` one entry per row asked about; where the attack needs only labels, 1 at the
            predicted class. A candidate beyond the row's budget is not looked at and repeats the row's logits; the row
            then ends with this step.
        """
        ...


@runtime_checkable
class Attack(Protocol):
    """A frozen dataclass whose fields are the attack's settings.

    It has ``traits``, ``start``, and either ``step`` or the pair ``propose`` and ``accept`` (see ``Stepping`` and
    ``Proposing``). How long a row may go on is said by ``steps``, a field or a class attribute with the most steps of
    every row, or by a method ``steps_for(rows) -> counts``: int64 (N,), asked once after ``start``. Optional are

    - ``finished(rows) -> mask``: bool (N,), the rows that have come to an end by themselves,
    - ``counts(rows, logits) -> mask``: bool (N,), of the rows at their goal those whose success the attack lets count,
    - ``remark(classes) -> str | None``: what a reader should know of it on a network with so many classes; a composed
      attack can have one too, and the report of the run says it,
    - ``restarts``: a number of attempts with other random numbers, made while an image survives,
    - ``expectation``: passes of the network that stand for one, for networks with randomness inside.
    """

    traits: ClassVar[Traits]

    def start(self, rows: Rows) -> None:
        """Set ``rows.adversarial`` (by default the image), and create whatever the steps will remember.

        Args:
            rows: new rows, at their images; ``rows.noise`` draws.
        """
        ...


@runtime_checkable
class Stepping(Protocol):
    """An attack that moves its rows in every step."""

    def step(self, rows: Rows, logits: Tensor, model: Model) -> None:
        """Move ``rows.adversarial`` once.

        Args:
            rows: those that are still searching.
            logits: (N, K) at ``rows.adversarial``; where the attack needs only labels, 1 at the predicted class.
            model: gradients at ``rows.adversarial``, and logits of other candidates.
        """
        ...


@runtime_checkable
class Proposing(Protocol):
    """An attack that draws a change, looks, and keeps it if it is better.

    The starting point is the first proposal: ``accept`` sees its logits, and its answer is not used. Afterwards a
    rejected proposal changes nothing but the row's age and random numbers, so that the driver may draw and evaluate
    several at once from one state: the result is the same however many.
    """

    def propose(self, rows: Rows) -> Tensor:
        """Draw one changed picture (N, 3, H, W) of each row with ``rows.noise``; nothing else may change."""
        ...

    def accept(self, rows: Rows, pixels: Tensor, logits: Tensor) -> Flags:
        """Say which proposals the rows move to.

        Args:
            rows: what the search remembers; changes are kept for the rows that accept. Nothing may be drawn.
            pixels: (N, 3, H, W) proposed; the driver makes them ``rows.adversarial`` of the rows that accept.
            logits: (N, K) of the proposals.

        Returns:
            Mask (N,).
        """
        ...


@dataclass(frozen=True)
class Member:
    """One stage of a composed attack, or a part of one.

    Members of one name that follow one another are a stage. Where the first success is kept they race: of those that
    succeed the one that made the fewest steps wins, the first of them in order, and the others are given up. Where the
    smallest is kept, all of them are carried out.

    Args:
        name: of the stage, as records name it; part of the key of its random numbers.
        attack: what is run, its own ``restarts`` included.
        aim: rank of the class that the loss aims at in an untargeted run, among the classes that are not the label, by
            the logits of the clean image: 1 for the highest. 0 aims at none. The goal decides on success.
    """

    name: str
    attack: Attack
    aim: int = 0


@runtime_checkable
class Composed(Protocol):
    """A frozen dataclass like ``Attack`` that only names other attacks; the search runs them over what survives."""

    traits: ClassVar[Traits]

    def members(self, classes: int) -> tuple[Member, ...]:
        """List the stages for a classifier with so many classes, at least 2."""
        ...


def norm_of(attack: Attack | Composed) -> Norm | None:
    """Give the norm of an attack's ball: its field ``norm``, else the first of its traits; none without a ball."""
    norms = attack.traits.norms
    norm: Norm | None = getattr(attack, "norm", norms[0]) if norms else None
    return norm


def measure_of(attack: Attack) -> Norm:
    """Give the norm in which an attack's distances are reported."""
    return attack.traits.measure or norm_of(attack) or "l2"


def check_attack(attack: Attack) -> None:
    """Refuse an attack whose class does not keep the contract.

    Raises:
        ContractError: traits are missing, the norm is not one of them, a method is missing, or a name is nearly one
            of the contract.
    """
    name, made = type(attack).__name__, type(attack)
    if not isinstance(getattr(attack, "traits", None), Traits):
        raise ContractError(f"{name} has no traits; declare traits: ClassVar[Traits] = Traits(...)")
    if norm_of(attack) not in (attack.traits.norms or (None,)):
        known = ", ".join(attack.traits.norms)
        raise ContractError(f"{name} has norm {norm_of(attack)!r}, which is not among its traits' norms: {known}")
    known_names = {*OPTIONAL, "start", "steps", "traits", "restarts", "norm", "expectation"}
    for own in set(dir(made)) - known_names:
        close = difflib.get_close_matches(own, OPTIONAL, n=1, cutoff=0.85)
        if close and not own.startswith("_") and callable(getattr(made, own)):
            raise ContractError(f"{name} has a method {own!r}; did you mean {close[0]!r}?")
    if not callable(getattr(attack, "start", None)):
        raise ContractError(f"{name} has no start(rows)")
    composed = callable(getattr(attack, "members", None))
    steps = getattr(attack, "steps", None)
    if not (composed or callable(getattr(attack, "steps_for", None)) or type(steps) is int):
        raise ContractError(f"{name} has no steps, the most steps of a row, and no steps_for(rows)")
    if isinstance(attack, Stepping) == isinstance(attack, Proposing) and not composed:
        raise ContractError(f"{name} needs either step, or propose and accept")
