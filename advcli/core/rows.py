"""Rows: the per-image state of an attack, as named tensors that share their first axis."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from advcli.core.goals import Goal
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Integers, Logits, Pixels
from advcli.errors import ContractError

__all__ = ["Pull", "RowNoise", "Rows"]  # what an attack's file imports


@runtime_checkable
class Pull(Protocol):
    """The vector-Jacobian product of the classifier at the rows' current pixels; may be called several times a step."""

    def __call__(self, cotangent: Logits) -> Pixels:
        """Turn a cotangent (N, K) on the logits into the gradient (N, 3, H, W) in the pixels."""
        ...


class Rows:
    """Named tensors, one entry per image under attack; ``rows[keep]`` takes some of the rows with all their tensors.

    The driver gives every row

    - ``index`` (N,) int64: its place in the driver's results,
    - ``images`` (N, 3, H, W): the clean pixels in [0, 1],
    - ``eps`` (N,): the radius of its ball, in pixel units,
    - ``label`` and ``target`` (N,) int64: what to leave, what to reach (-1: nothing),
    - ``adversarial`` (N, 3, H, W): the current pixels, which the attack moves,
    - ``age`` (N,) int64: steps made so far; rows of one batch differ in age,
    - ``passes`` and ``pulls`` (N,) int64: what it has cost so far,
    - ``key`` and ``drawn``: its own random numbers, read through ``noise``,

    and an attack adds what it needs to remember by assigning it in ``start`` (``rows.momentum = ...``).

    Args:
        tensors: by name; all with the same first axis.

    Raises:
        ContractError: a tensor has another number of rows.
    """

    index: Integers
    images: Pixels
    eps: Tensor
    label: Integers
    target: Integers
    adversarial: Pixels
    age: Integers
    passes: Integers
    pulls: Integers
    key: Tensor
    drawn: Integers
    _tensors: dict[str, Tensor]

    def __init__(self, **tensors: Tensor) -> None:
        object.__setattr__(self, "_tensors", {})
        for name, tensor in tensors.items():
            setattr(self, name, tensor)

    def __getattr__(self, name: str) -> Tensor:
        try:
            return self.__dict__["_tensors"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"these rows have no {name!r}; an attack assigns it in start") from None

    def __setattr__(self, name: str, tensor: Tensor) -> None:
        known = next(iter(self._tensors.values()), tensor)
        if not tensor.ndim or len(tensor) != len(known):
            raise ContractError(f"rows.{name} has shape {tuple(tensor.shape)}, but there are {len(known)} rows")
        self._tensors[name] = tensor

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __getitem__(self, keep: Tensor | slice) -> "Rows":
        """Take the rows that a mask (N,), places or a slice choose."""
        return type(self)(**{name: tensor[keep] for name, tensor in self._tensors.items()})

    @classmethod
    def join(cls, parts: Sequence["Rows"]) -> "Rows":
        """Put rows behind one another.

        Raises:
            ContractError: the parts have different names, as when an attack forgets to create a tensor in ``start``.
        """
        names = set(parts[0])
        for part in parts:
            if set(part) != names:
                odd = ", ".join(sorted(names ^ set(part)))
                raise ContractError(
                    f"rows that differ in {odd} cannot be joined; an attack creates its tensors in start"
                )
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in parts[0]})

    def column(self, value: float | Tensor) -> Tensor:
        """Shape one value per row (N,), or one for all, as (N, 1, 1, 1) to go with pixels."""
        value = torch.as_tensor(value, dtype=self.images.dtype, device=self.images.device)
        return value.expand(len(self)).view(-1, 1, 1, 1)

    @property
    def goal(self) -> Goal:
        """What the rows want: losses to climb, and whether they are there."""
        return Goal(self.label, self.target)

    @property
    def noise(self) -> RowNoise:
        """The rows' own random numbers."""
        return RowNoise(self)
