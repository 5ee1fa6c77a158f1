"""What a training that is interrupted goes on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from advcli.errors import UsageError
from advcli.images.writing import whole

_HINT = "give another --out, or --overwrite to train from the start"


def save_checkpoint(path: Path, identity: str, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: replaced where it exists.
        identity: of the training: what its steps depend on.
        state: tensors and plain values.

    Raises:
        UsageError: it cannot be written, or the disk is full.
    """
    with whole(path) as beside:
        try:
            with beside.open("wb") as file:
                torch.save({"identity": identity, **state}, file)
        except RuntimeError as error:  # the archive's writer hides what the system said, such as that the disk is full
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(path: Path, identity: str) -> dict[str, Any] | None:
    """Read a checkpoint; none where there is none.

    Args:
        path: written by ``save_checkpoint``.
        identity: of the training that is to go on.

    Raises:
        UsageError: it is damaged, or belongs to another training.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged archive fails in whatever place the damage is
        raise UsageError(f"{path} is no checkpoint, or is damaged: {str(error).splitlines()[0]}", _HINT) from error
    if not isinstance(state, dict) or state.get("identity") != identity:
        raise UsageError(f"{path} belongs to a training with other settings or data", _HINT)
    return state
