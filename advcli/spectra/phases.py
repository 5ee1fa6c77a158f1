"""Phases of a training: under-fitting, generalizing, over-fitting, by a rule about its curves and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Phase = Literal["under-fitting", "generalizing", "over-fitting"]
RULES: dict[Phase, str] = {
    "under-fitting": "both losses fall, and the gap between them is below a tenth of the validation loss's whole fall",
    "generalizing": "the gap has opened, and the validation loss is at most 2 % of its whole fall above its lowest",
    "over-fitting": "the validation loss has risen from its lowest by more than 2 % of its whole fall, to stay there",
}
_GAP, _RISE = 0.1, 0.02  # of the validation loss's whole fall
_WINDOW = 3  # epochs whose median is taken


@dataclass(frozen=True)
class Stretch:
    """A phase and the epochs that it covers.

    Args:
        phase: its name.
        first: its first epoch.
        last: its last epoch.
    """

    phase: Phase
    first: int
    last: int

    @property
    def rule(self) -> str:
        """What decided it."""
        return RULES[self.phase]


def phases(
    epochs: Sequence[int], training: Sequence[float | None], validation: Sequence[float | None]
) -> list[Stretch]:
    """Divide a training into phases by its loss curves.

    Args:
        epochs: ascending.
        training: loss of each epoch on what is learned from; none where it is not known.
        validation: loss of each epoch on what is not.

    Returns:
        Stretches in order, without gaps among the epochs where both losses are known: never an earlier phase after a
        later one. Empty where fewer than three epochs are known, or validation never fell.
    """
    known = [
        (epoch, float(one), float(other))
        for epoch, one, other in zip(epochs, training, validation, strict=True)
        if one is not None and other is not None and np.isfinite(one) and np.isfinite(other)
    ]
    if len(known) < _WINDOW:
        return []
    learned, tested = (_smoothed(np.array([row[place] for row in known])) for place in (1, 2))
    lowest = int(np.argmin(tested))
    fall = float(tested[0] - tested[lowest])
    if fall <= 0:
        return []
    opened = np.flatnonzero(tested - learned > _GAP * fall)
    begin = int(opened[0]) if len(opened) else len(known)
    risen = tested - tested[lowest] > _RISE * fall
    low = [place for place in range(len(known)) if place <= lowest or not risen[place]]
    end = max(low) + 1  # from there on it never comes back
    names: list[Phase] = [
        "over-fitting" if place >= end else "generalizing" if place >= begin else "under-fitting"
        for place in range(len(known))
    ]
    found: list[Stretch] = []
    for (epoch, _, _), name in zip(known, names, strict=True):
        if found and found[-1].phase == name:
            found[-1] = Stretch(name, found[-1].first, epoch)
        else:
            found.append(Stretch(name, epoch, epoch))
    return found


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running median, which one outlier does not move."""
    half = _WINDOW // 2
    return np.array([np.median(values[max(0, place - half) : place + half + 1]) for place in range(len(values))])
