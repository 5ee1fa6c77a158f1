"""Holds attacks to their contract: what they may not change, and what they have to give back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from advcli.core.attack import Attack, norm_of
from advcli.core.grid import beyond
from advcli.core.norms import BALLS, Ball
from advcli.core.rows import GIVEN, Rows
from advcli.errors import ContractError


def limit_of(attack: Attack) -> Ball | None:
    """The ball that successes have to be in, whether it holds the rows or not; none where eps is no limit."""
    norm = norm_of(attack)
    return BALLS[norm] if norm is not None and attack.traits.eps in ("bound", "reach") else None


@contextmanager
def held(attack: Attack, rows: Rows, *, may_draw: bool = True) -> Iterator[None]:
    """Let an attack at its rows, and refuse what it changed of what the driver gave.

    Args:
        attack: whose method runs inside the context.
        rows: that the method is given.
        may_draw: random numbers may be drawn.

    Raises:
        ContractError: a given tensor was changed in place, or random numbers were drawn where none may be.
    """
    before = {name: (getattr(rows, name), _version(getattr(rows, name))) for name in rows if name in GIVEN}
    yield
    for name, (tensor, version) in before.items():
        if _version(tensor) != version:
            raise ContractError(
                f"{type(attack).__name__} changed rows.{name} in place; it is the driver's and read-only"
            )
    if not may_draw and rows.drawn is not before["drawn"][0]:
        raise ContractError(f"{type(attack).__name__} drew random numbers in accept; propose draws")


def check_pixels(attack: Attack, rows: Rows, pixels: Any) -> None:
    """Refuse pixels that an attack may not move its rows to.

    Raises:
        ContractError: they have another shape or type, are not finite, or leave [0, 1] or the ball.
    """
    name = type(attack).__name__
    if not isinstance(pixels, Tensor) or pixels.shape != rows.images.shape or pixels.dtype != rows.images.dtype:
        found = f"{tuple(pixels.shape)} of {pixels.dtype}" if isinstance(pixels, Tensor) else type(pixels).__name__
        raise ContractError(f"{name} gave pixels {found}, not {tuple(rows.images.shape)} of {rows.images.dtype}")
    low, high = (float(value) for value in pixels.aminmax())
    if not (low >= 0 and high <= 1):
        if not torch.isfinite(pixels).all():
            raise ContractError(f"{name} gave pixels that are not all finite")
        raise ContractError(f"{name} left [0, 1]: its pixels span [{low:.6g}, {high:.6g}]")
    ball = limit_of(attack)
    if ball is not None and attack.traits.eps == "bound":
        excess = beyond(pixels, rows.images, rows.eps, ball)
        if (excess > 0).any():
            raise ContractError(f"{name} left its {norm_of(attack)} ball by {float(excess.max()):.3g}")


def mask_from(attack: Attack, method: str, rows: Rows, *arguments: Tensor) -> Tensor:
    """Ask an attack for a mask.

    Args:
        attack: which.
        method: ``finished``, ``counts`` or ``accept``.
        rows: N of them.
        arguments: that follow the rows.

    Returns:
        Bool (N,).

    Raises:
        ContractError: the method gives something else, or changed what the driver gave.
    """
    with held(attack, rows, may_draw=method != "accept"):
        mask = getattr(attack, method)(rows, *arguments)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (len(rows),):
        found = f"{tuple(mask.shape)} of {mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ContractError(f"{type(attack).__name__}.{method} gave {found}, not a mask ({len(rows)},) of bool")
    return mask


def steps_of(attack: Attack, rows: Rows) -> Tensor:
    """The most steps of each row, int64 (N,).

    Raises:
        ContractError: ``steps_for`` gives something else.
    """
    ask = getattr(attack, "steps_for", None)
    if ask is None:
        most: Any = getattr(attack, "steps")  # noqa: B009  a field or a class attribute; see check_attack
        return torch.full_like(rows.label, int(most))
    with held(attack, rows):
        counts = ask(rows)
    if not isinstance(counts, Tensor) or counts.dtype != torch.int64 or counts.shape != (len(rows),):
        raise ContractError(f"{type(attack).__name__}.steps_for gave no int64 counts ({len(rows)},)")
    return counts


def _version(tensor: Tensor) -> int:
    """Count the changes of a tensor in place, also through its views; torch counts them for autograd."""
    return int(tensor._version)  # noqa: SLF001  there is no public name for it
