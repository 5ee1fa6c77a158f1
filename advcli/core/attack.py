"""What an attack is to the rest of the house: a start, a step, and a few words about itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from torch import Tensor

from advcli.core.norms import Norm
from advcli.core.randomness import RowNoise
from advcli.core.rows import Pull, Rows
from advcli.core.shapes import Flags


@runtime_checkable
class Attack(Protocol):
    """A frozen dataclass whose fields are the attack's settings.

    Beside ``start`` and ``step`` it has a field or class attribute ``steps``, the most steps a row may make. These
    class attributes are optional, see ``Traits`` for what their absence means: ``norms``, ``targets``, ``needs``,
    ``keeps``, ``scale``, and a field ``norm`` where there are several norms. A method ``finished(rows)``, also
    optional, gives a mask of the rows that have come to an end by themselves.
    """

    @property
    def steps(self) -> int:
        """The most steps a row may make."""
        ...

    def start(self, rows: Rows, noise: RowNoise) -> None:
        """Set ``rows.adversarial``, and create whatever the steps will remember.

        Args:
            rows: new rows, at their images.
            noise: the rows' own random numbers; ``rows.noise`` later gives the same streams.
        """
        ...

    def step(self, rows: Rows, logits: Tensor, pull: Pull) -> None:
        """Move ``rows.adversarial`` once.

        Args:
            rows: those that are still searching.
            logits: (N, K) at ``rows.adversarial``; where the attack needs only labels, 1 at the predicted class.
            pull: gradients at ``rows.adversarial``; refuses where the attack said that it needs none.
        """
        ...


@dataclass(frozen=True)
class Traits:
    """What an attack says of itself in class attributes, with what silence means.

    Args:
        norm: in which the rows' ball is measured, and kept; none where the attack knows no ball.
        targets: whether it can be, or must be, given a class to reach. By default it may.
        needs: ``gradient``, or only the ``scores`` of all classes, or only the predicted ``labels``.
        keeps: the ``first`` success, or the ``smallest``: the row then goes on to the end of its steps, and the
            driver keeps the nearest success in ``norm`` (l2 where there is none).
        scale: how ``eps`` is used: ``ball`` (the driver holds the rows to it), ``size`` (a measure of how far to go,
            held by nobody) or ``none`` (an ``--eps`` is refused). By default ``ball`` where there are norms.
    """

    norm: Norm | None
    targets: Literal["never", "may", "must"]
    needs: Literal["gradient", "scores", "labels"]
    keeps: Literal["first", "smallest"]
    scale: Literal["ball", "size", "none"]
    finished: Callable[[Rows], Flags] | None


def traits(attack: Attack | type[Any]) -> Traits:
    """Read an attack's class attributes."""
    norms: tuple[Norm, ...] = getattr(attack, "norms", get_args(Norm))
    norm: Norm | None = getattr(attack, "norm", norms[0] if norms else None)
    return Traits(
        norm=norm if norms else None,
        targets=getattr(attack, "targets", "may"),
        needs=getattr(attack, "needs", "gradient"),
        keeps=getattr(attack, "keeps", "first"),
        scale=getattr(attack, "scale", "ball" if norms else "none"),
        finished=getattr(attack, "finished", None),
    )
