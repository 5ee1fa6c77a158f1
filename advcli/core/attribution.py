"""What an attribution declares of itself: read by the engine before the first image, and by the contract tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from advcli.errors import ContractError

Watched = Literal["layer", "relus", "attention"]


@dataclass(frozen=True)
class Traits:
    """Facts about an attribution, given as ``TRAITS`` in its module.

    Args:
        gradient: it reads the gradient at the view's own pixels, so that one backward pass can serve several methods.
        watches: what of the network it reads besides: the output of a ``layer`` with a map in it (it is then given
            ``layer``), the ``relus``, or the ``attention``; by default nothing.
        linear: settings under which its map is linear in the score, so that the map of ``loss`` is minus that of
            ``logprob``; an empty mapping where it always is, none where it never is.
        class_free: its map does not depend on the class or the score, so that one map stands for all of them.
        differentiable: it reads the view alone, draws nothing, and what it does with the readings can be differentiated
            by torch; see ``models/differentiable.py``.
        fp32: it is computed in fp32 whatever precision the run has: from bf16 its map would rank the pixels otherwise,
            with a mean Spearman correlation below .99 on one of the networks that were measured (the built-in ones, and
            the untrained ResNet-18 of ``tests/benchmarks/explain.py``).

    Raises:
        ContractError: ``watches`` is none of the three.
    """

    gradient: bool = False
    watches: Watched | None = None
    linear: Mapping[str, object] | None = None
    class_free: bool = False
    differentiable: bool = False
    fp32: bool = False

    def __post_init__(self) -> None:
        """Refuse a misspelt value."""
        if self.watches is not None and self.watches not in get_args(Watched):
            raise ContractError(
                f"an attribution watches {', '.join(get_args(Watched))} or nothing, not {self.watches!r}"
            )
