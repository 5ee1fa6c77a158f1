"""The WordNet ids that ImageNet's folders are called by, such as ``n01440764`` for the tench.

``imagenet_ids.txt`` lists those of ImageNet-1k, one a line. The classes of every network trained on it are in the order
of these ids.

Source: Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge, https://arxiv.org/abs/1409.0575; ids
of WordNet 3.0, https://wordnet.princeton.edu, as timm (Apache License 2.0) lists them.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_ID = re.compile(r"n\d{8}")
_FIRST, _LAST = "tench", "toilet tissue"  # of the thousand; every library's names begin so


def index_of_id(word: str, classes: Sequence[str]) -> int | None:
    """Find the class that a WordNet id means.

    Args:
        word: such as ``n01440764``.
        classes: names in the order of the logits.

    Returns:
        The class's index; none where the word is no id of ImageNet-1k, or the classes are not its thousand.
    """
    if _ID.fullmatch(word) is None or not is_imagenet(classes):
        return None
    return _places().get(word)


def is_imagenet(classes: Sequence[str]) -> bool:
    """Whether classes are the thousand of ImageNet-1k, in their order."""
    return len(classes) == len(_places()) and classes[0].startswith(_FIRST) and classes[-1].startswith(_LAST)


@cache
def _places() -> dict[str, int]:
    ids = (Path(__file__).parent / "imagenet_ids.txt").read_text(encoding="ascii").split()
    return {word: place for place, word in enumerate(ids)}
