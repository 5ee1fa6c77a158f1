"""Groups of images that are explained together."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from advcli.runs.command import Case
from advcli.runs.images import Image, Unusable

_AIM = 5.0  # seconds that a group should take: an interruption costs no more


def alike(group: Sequence[Image], place: int) -> Iterator[tuple[list[Image], list[Case]]]:
    """Put the images together that have the same cases left under one model, with these cases.

    Args:
        group: images.
        place: of the model among those of the run, with which the payload of a case begins.
    """
    found: dict[tuple[str, ...], list[Image]] = {}
    for image in group:
        mine = tuple(case.id for case in image.cases if case.payload[0] == place)
        if mine:
            found.setdefault(mine, []).append(image)
    for images in found.values():
        yield images, [case for case in images[0].cases if case.payload[0] == place]


class Groups:
    """Sizes of groups that begin at one image, at most double, and aim at five seconds each.

    Args:
        most: images of a group.
        least: images of a group, where fewer would leave the network's blocks half empty.
    """

    def __init__(self, most: int, least: int = 1) -> None:
        self._most = most
        self._least = min(least, most)
        self._size = self._least

    def of(self, images: Iterator[Any]) -> Iterator[list[Any]]:
        """Yield groups; how long the caller takes for one decides the size of the next."""
        group: list[Any] = []
        for image in images:
            group.append(image)
            if len(group) >= self._size:
                began = time.perf_counter()
                yield group
                seconds = max(time.perf_counter() - began, 1e-6)
                fitting = int(len(group) * _AIM / seconds)
                self._size = max(self._least, min(2 * self._size, fitting, self._most))
                group = []
        if group:
            yield group

    def among(self, read: Iterator[Image | Unusable]) -> Iterator[list[Image] | Unusable]:
        """Group the images among what was read; what cannot be used comes by itself, after the group before it."""
        unusable: list[Unusable] = []

        def images() -> Iterator[Image]:
            for one in read:
                if isinstance(one, Unusable):
                    unusable.append(one)
                else:
                    yield one

        for group in self.of(images()):
            yield group
            yield from unusable
            unusable.clear()
        yield from unusable
