"""Pictures of many kinds that are always there: the built-in samples, parts of them, and all of them mirrored."""

from collections.abc import Iterator

import numpy as np

from advcli.images.reading import decode, fit, read_bytes
from advcli.images.samples import samples

_PARTS = 3  # crops per side of each sample, each half as large as the sample


def sample_crops(size: tuple[int, int], resize: int, interpolation: str) -> Iterator[np.ndarray]:
    """Cut the built-in samples into pictures, always the same ones in the same order.

    Args:
        size: height and width.
        resize: shorter side before the central crop; see ``images.reading.fit``.
        interpolation: see there.

    Yields:
        80 pictures, uint8 (3, H, W).

    Raises:
        NoInputError: the samples are missing.
    """
    for source in samples():
        picture = decode(read_bytes(source.location), source.path)
        width, height = picture.size
        boxes = [(0, 0, width, height)]
        for place in range(_PARTS**2):
            left, top = (place % _PARTS) * width // 4, (place // _PARTS) * height // 4
            boxes.append((left, top, left + width // 2, top + height // 2))
        for box in boxes:
            pixels = fit(picture.crop(box), size, resize, interpolation)
            yield pixels
            yield pixels[:, :, ::-1].copy()
