"""Rows: the per-image state of an attack, as named tensors that share their first axis."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from advcli.core.goals import Goal
from advcli.core.radii import column
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Integers, Pixels
from advcli.errors import ContractError

__all__ = ["GIVEN", "RowNoise", "Rows"]

# What the driver gives. An attack reads it, and never replaces or changes it.
GIVEN = frozenset(
    {
        "index", "images", "eps", "label", "target", "aim", "donor", "age", "budget", "forward_passes",
        "backward_passes", "key", "drawn",
    }
)  # fmt: skip


class Rows:
    """Named tensors, one entry per attempt; ``rows[keep]`` takes some of the rows with all their tensors.

    The driver gives every row, to be read only:

    - ``index`` (N,) int64: a number that names the attempt,
    - ``images`` (N, 3, H, W): the clean pixels in [0, 1],
    - ``eps`` (N,): in pixel units, or a count for l0; used as the attack's traits say; (N, 3), with a radius per
      channel, where the traits allow it,
    - ``label`` and ``target`` (N,) int64: what to leave, what to reach (-1: nothing),
    - ``aim`` (N,) int64: the class that losses aim at, whatever the goal (-1: the goal's own),
    - ``donor`` (N, 3, H, W): a picture that is at the goal, where the attack begins at one,
    - ``age`` (N,) int64: steps made so far; rows of one batch differ in age,
    - ``budget`` (N,) int64: forward and backward passes it may cost, a very large number where they are not bounded,
    - ``forward_passes`` and ``backward_passes`` (N,) int64: what it had cost when the step began,
    - ``key`` and ``drawn``: its own random numbers, read through ``noise``.

    The attack moves ``adversarial`` (N, 3, H, W), the current pixels, and adds what it needs to remember by assigning
    it in ``start`` (``rows.momentum = ...``).

    Args:
        tensors: by name; all with the same first axis.

    Raises:
        ContractError: a tensor has another number of rows, is the driver's, or was not created in ``start``.
    """

    index: Integers
    images: Pixels
    eps: Tensor
    label: Integers
    target: Integers
    aim: Integers
    donor: Pixels
    adversarial: Pixels
    age: Integers
    budget: Integers
    forward_passes: Integers
    backward_passes: Integers
    key: Tensor
    drawn: Integers
    _tensors: dict[str, Tensor]
    _fixed: bool

    def __init__(self, **tensors: Tensor) -> None:
        self._set(tensors, fixed=False)

    def _set(self, tensors: Mapping[str, Tensor], *, fixed: bool) -> None:
        object.__setattr__(self, "_tensors", {})
        object.__setattr__(self, "_fixed", fixed)
        for name, tensor in tensors.items():
            self._check(name, tensor)
            self._tensors[name] = tensor

    def _like(self, tensors: Mapping[str, Tensor]) -> "Rows":
        made = object.__new__(type(self))
        made._set(tensors, fixed=self._fixed)
        return made

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self.__dict__["_tensors"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"these rows have no {name!r}; an attack assigns it in start") from None

    def __setattr__(self, name: str, tensor: Tensor) -> None:
        if name in GIVEN:
            raise ContractError(f"rows.{name} is the driver's and read-only")
        if self._fixed and name not in self._tensors:
            raise ContractError(f"rows.{name} was not created in start")
        self._check(name, tensor)
        self._tensors[name] = tensor

    def _check(self, name: str, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            raise ContractError(f"rows.{name} is {type(tensor).__name__}, not a tensor")
        known = next(iter(self._tensors.values()), tensor)
        if not tensor.ndim or len(tensor) != len(known):
            raise ContractError(f"rows.{name} has shape {tuple(tensor.shape)}, but there are {len(known)} rows")

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __getitem__(self, keep: Tensor | slice) -> "Rows":
        """Take the rows that a mask (N,), indices or a slice choose."""
        return self._like({name: tensor[keep] for name, tensor in self._tensors.items()})

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """Put rows behind one another.

        Raises:
            ContractError: the parts have different names, as when an attack creates a tensor only for some rows.
        """
        names = set(parts[0])
        for part in parts:
            if set(part) != names:
                odd = ", ".join(sorted(names ^ set(part)))
                raise ContractError(
                    f"rows that differ in {odd} cannot be joined; an attack creates its tensors in start"
                )
        return parts[0].replace(**{name: torch.cat([getattr(part, name) for part in parts]) for name in parts[0]})

    def replace(self, **tensors: Tensor) -> "Rows":
        """Give other rows that differ in some tensors, also in what the driver gave; these rows stay as they are."""
        return self._like(tensors if set(tensors) == set(self) else {**self._tensors, **tensors})

    def fix(self) -> "Rows":
        """Give the same rows, to which no name can be added."""
        made = self._like(self._tensors)
        object.__setattr__(made, "_fixed", True)
        return made

    def column(self, value: float | Tensor) -> Tensor:
        """Shape one value per row (N,), one per row and channel (N, 3), or one for all, to go with pixels."""
        value = torch.as_tensor(value, dtype=self.images.dtype, device=self.images.device)
        return column(value if value.ndim else value.expand(len(self)))

    def moved_on(self, blocks: int) -> None:
        """Move the rows' random numbers on; every draw does so by itself."""
        self._tensors["drawn"] = self.drawn + blocks

    @property
    def goal(self) -> Goal:
        """What the rows want: losses to climb, and whether they are there."""
        return Goal(self.label, self.target, self._tensors.get("aim"))

    @property
    def noise(self) -> RowNoise:
        """The rows' own random numbers."""
        return RowNoise(self)
