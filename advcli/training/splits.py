"""Splits of a labelled set in which every class keeps its share, the same for the same seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from advcli.errors import UsageError


def stratified_split(labels: NDArray[np.int64], shares: Sequence[float], seed: int) -> list[NDArray[np.int64]]:
    """Distribute the images of each class over several parts.

    The images are shuffled, laid out class by class, and each goes to the part that lacks most of its share so far.
    So every class keeps the shares, and so does the whole set: rounding does not add up over many small classes.

    Args:
        labels: (N,), class of each image.
        shares: of each part, each above 0; their sum is 1 within 1e-6.
        seed: of the shuffle, at least 0.

    Returns:
        For each part the indices of its images, ascending; each image is in exactly one part. A part has less than
        one image more than its share of the set; where the shares of every class are whole numbers they are met.

    Raises:
        UsageError: a share is not above 0, they do not add up to 1, or a part would be empty.
    """
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        told = ", ".join(f"{share:g}" for share in shares)
        raise UsageError(f"the shares {told} do not split a set", "give shares above 0 that add up to 1")
    generator = np.random.default_rng(seed)
    shuffled = np.concatenate([generator.permutation(np.flatnonzero(labels == one)) for one in np.unique(labels)])
    part = _deal(len(labels), np.asarray(shares))
    parts = [np.sort(shuffled[part == place]) for place in range(len(shares))]
    if not all(len(one) for one in parts):
        raise UsageError(
            f"{len(labels)} images are too few for {len(shares)} parts", "give more images, or fewer parts"
        )
    return parts


def _deal(count: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    part = np.empty(count, dtype=np.int64)
    given = np.zeros(len(shares))
    for place in range(count):
        part[place] = np.argmax(shares * (place + 1) - given)
        given[part[place]] += 1
    return part
