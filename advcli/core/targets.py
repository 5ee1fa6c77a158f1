"""Which class an attack is to reach, image by image."""

from collections.abc import Sequence

import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.shapes import Integers, Logits

RANK = "rank:"  # ``rank:3``: the third most probable class


def choose_targets(rule: str | int, logits: Logits, label: Integers, seed: int, sha256: Sequence[str]) -> Integers:
    """Choose a target for each image.

    The rules never choose the label, nor the prediction while there is another class left: where an image is
    misclassified, ``second`` is the most probable of the classes that are neither.

    Args:
        rule: ``none``; ``second`` most or ``least`` probable class; ``random``, drawn by seed and picture; ``rank:K``,
            the K-th most probable class, K from 2 to the number of classes (``rank:2`` is ``second``); or a class.
        logits: (N, K) of the clean images.
        label: (N,) what the images show.
        seed: of the run.
        sha256: of each image.

    Returns:
        (N,) classes, -1 for ``none``. The label stands behind all others: it is what the last rank gives where an
        image is misclassified, and there alone.
    """
    if rule == "none":
        return torch.full_like(label, -1)
    if isinstance(rule, int):
        return torch.full_like(label, rule)
    rank = _ranked(logits, label)  # (N, K), candidates first, most probable first
    classes = logits.shape[1]
    taken = 1 + (logits.argmax(1) != label).long()  # the label, and the prediction where it is another class
    candidates = (classes - taken).clamp(min=1)
    if rule == "second":
        place = torch.zeros_like(label)
    elif rule.startswith(RANK):
        ahead = torch.full_like(label, int(rule.removeprefix(RANK)) - 2)
        place = torch.where(ahead < candidates, ahead, classes - 1)
    elif rule == "least":
        place = candidates - 1
    else:
        place = RowNoise.of(seed, sha256, "target", device=label.device).integers(candidates)
    return rank.gather(1, place[:, None])[:, 0]


def _ranked(logits: Logits, label: Integers) -> Tensor:
    """Order the classes (N, K): candidates by logit, then the prediction, then the label."""
    values = wide(logits)
    lowest = values.amin(1, keepdim=True)
    prediction = logits.argmax(1, keepdim=True)
    moved = values.scatter(1, prediction, lowest - 1).scatter(1, label[:, None], lowest - 2)
    return moved.argsort(stable=True, dim=1, descending=True)
