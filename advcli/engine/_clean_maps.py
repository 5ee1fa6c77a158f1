"""Maps of the clean images of a run, made once for all attacks on an image."""

from collections.abc import Callable, Sequence

from advcli.engine._attacking import Attacked
from advcli.engine._maps import Explained
from advcli.runs.images import Clean


class CleanMaps:
    """The maps of the images that have attacks left to be explained, and of no others: memory stays flat."""

    def __init__(self) -> None:
        self._maps: dict[tuple[str, str], list[Explained]] = {}
        self._left: dict[tuple[str, str], int] = {}  # attacks on an image that are still to be explained

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
        return [self._maps[_key(one)] for one in clean]

    def release(self, attacked: Sequence[Attacked]) -> None:
        """Forget the maps of the images all of whose attacks are explained now.

        Args:
            attacked: what has just been explained, or needs no explanation.
        """
        for one in attacked:
            image, place = _key(one.clean), one.case.payload[0]
            if image not in self._left:
                self._left[image] = sum(case.payload[0] == place for case in one.clean.image.cases)
            self._left[image] -= 1
            if not self._left[image]:
                self._maps.pop(image, None)  # none where every explanation refuses the model
                del self._left[image]

    def __len__(self) -> int:
        """Images whose maps are kept."""
        return len(self._maps)


def _key(clean: Clean) -> tuple[str, str]:
    return clean.image.item.identity, clean.classifier.card.name
