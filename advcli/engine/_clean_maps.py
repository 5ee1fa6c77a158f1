"""Maps of the clean images of a run, made once for all attacks on an image."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from advcli.engine._maps import Explained
from advcli.runs.images import Clean


class CleanMaps:
    """The maps of the images that were seen last.

    Args:
        most: images whose maps are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._maps: OrderedDict[tuple[str, str], list[Explained]] = OrderedDict()

    def of(
        self, clean: Sequence[Clean], explain: Callable[[Sequence[Clean]], list[list[Explained]]]
    ) -> list[list[Explained]]:
        """Give the maps of some images under one model; those that are not known are made.

        Args:
            clean: the images; one may come several times.
            explain: makes the maps of different images.
        """
        missing = {_key(one): one for one in clean if _key(one) not in self._maps}
        if missing:
            made = explain(list(missing.values()))
            self._maps.update(zip(missing, made, strict=True))
        found = [self._maps[_key(one)] for one in clean]
        for one in clean:
            self._maps.move_to_end(_key(one))
        while len(self._maps) > self._most:
            self._maps.popitem(last=False)
        return found


def _key(clean: Clean) -> tuple[str, str]:
    return clean.image.item.identity, clean.classifier.card.name
