"""Pictures of pure noise, each keyed by the seed and its number: the same for every model, batch and order.

The bits come from numpy's own Philox (4x64, 10 rounds), whose stream numpy keeps stable and can enter at any place, so
that the pictures of a block are one draw. A picture depends on the seed, its kind, its number and its size alone.
"""

import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from advcli.core.randomness import key
from advcli.errors import ContractError
from advcli.images.reading import decode, fit, read_bytes
from advcli.images.samples import samples

Levels = NDArray[np.uint8]
SIGMA = 0.25  # of gaussian noise, in pixel units, around mid-grey
_GREY = 128
_OCTAVES = (4, 8, 16)  # cells of perlin noise across the picture, each octave half as strong as the one before
_CONTRAST = 0.9  # of perlin noise; its octaves reach 1.24, and seldom 0.5


class Draws:
    """Random bits for a range of attempts; every draw is independent of those before.

    Args:
        seed: of the run.
        kind: of the noise; other kinds get other bits.
        first: number of the first attempt, from 0.
        count: of attempts.
        size: (height, width) of the pictures.
    """

    def __init__(self, seed: int, kind: str, first: int, count: int, size: tuple[int, int]) -> None:
        low, high, upper, top = key(seed, "", "noise-search", kind)
        self._key = [low | high << 32, upper | top << 32]
        self._first = first
        self._drawn = 0
        self.count = count
        self.size = size

    def bits(self, kind: type[np.unsignedinteger], *shape: int) -> NDArray[np.unsignedinteger]:
        """Draw unsigned integers of all values alike: (count, *shape)."""
        wanted = math.prod(shape) * np.dtype(kind).itemsize
        blocks = -(-wanted // 32)  # of four words of 64 bits, which one step of the counter gives
        generator = np.random.Philox(key=self._key, counter=[self._first * blocks, 0, self._drawn, 0])
        self._drawn += 1
        words = generator.random_raw(4 * blocks * self.count).reshape(self.count, 4 * blocks)
        values = words.astype("<u8", copy=False).view(np.dtype(kind).newbyteorder("<"))
        return values[:, : math.prod(shape)].reshape(self.count, *shape)


def uniform(draws: Draws) -> Levels:
    """Every value of every pixel one of the 256 levels, all alike."""
    return draws.bits(np.uint8, 3, *draws.size).astype(np.uint8, copy=False)


def gaussian(draws: Draws) -> Levels:
    """Every value normal around mid-grey with standard deviation ``SIGMA``, cut at black and white."""
    levels: Levels = _normal_levels()[draws.bits(np.uint16, 3, *draws.size)]
    return levels


def salt(draws: Draws) -> Levels:
    """Mid-grey with black and white pixels, of a density that is drawn for each picture (salt and pepper)."""
    bits, density = draws.bits(np.uint16, 1, *draws.size), draws.bits(np.uint16, 1, 1, 1)
    extreme = (np.uint16(255) * (bits & np.uint16(1))).astype(np.uint8)
    return _colored(np.where(bits >> np.uint16(1) < density >> np.uint16(1), extreme, np.uint8(_GREY)), draws.size)


def perlin(draws: Draws) -> Levels:
    """Smooth clouds: three octaves of gradient noise, each channel on its own.

    Source: Perlin 2002, "Improving noise", https://doi.org/10.1145/566654.566636.
    """
    height, width = draws.size
    field = np.zeros((draws.count, 3, height, width), np.float32)
    for octave, cells in enumerate(_OCTAVES):
        along = _directions()[draws.bits(np.uint8, 3, cells + 1, cells + 1)]  # (count, 3, cells + 1, cells + 1, 2)
        (down, down_slope), (across, across_slope) = _lattice(height, cells), _lattice(width, cells)
        # The sum over a cell's corners of fade * (gradient . offset) is separable in rows and columns.
        field += (down_slope @ along[..., 0] @ across.T + down @ along[..., 1] @ across_slope.T) * np.float32(
            0.5**octave
        )
    levels: Levels = np.rint(255 * np.clip(0.5 + np.float32(_CONTRAST) * field, 0, 1)).astype(np.uint8)
    return levels


def shuffled_image(draws: Draws) -> Levels:
    """The pixels of one of the built-in samples, in random order: colors of the world without its shapes."""
    pictures = _samples(draws.size)  # (S, 3, H * W)
    which = (draws.bits(np.uint32, 1)[:, 0].astype(np.uint64) * np.uint64(len(pictures)) >> np.uint64(32)).astype(int)
    order = np.argsort(draws.bits(np.uint32, draws.size[0] * draws.size[1]), axis=1, kind="stable")
    return np.take_along_axis(pictures[which], order[:, None], 2).reshape(draws.count, 3, *draws.size)


def constant(draws: Draws) -> Levels:
    """One color all over."""
    return _colored(draws.bits(np.uint8, 3, 1, 1).astype(np.uint8, copy=False), draws.size)


KINDS: dict[str, Callable[[Draws], Levels]] = {
    "uniform": uniform,
    "gaussian": gaussian,
    "salt": salt,
    "perlin": perlin,
    "shuffled-image": shuffled_image,
    "constant": constant,
}


def noise(kind: str, seed: int, first: int, count: int, size: tuple[int, int]) -> Levels:
    """Make the pictures of some attempts.

    Args:
        kind: one of ``KINDS``.
        seed: of the run.
        first: number of the first attempt, from 0.
        count: of attempts.
        size: (height, width) in pixels.

    Returns:
        uint8 (count, 3, H, W). An attempt's picture is the same to the bit whatever the range it is drawn in.

    Raises:
        ContractError: an unknown kind.
        NoInputError: the built-in samples are missing (``shuffled-image``).
    """
    if kind not in KINDS:
        raise ContractError(f"noise {kind!r} is none of {', '.join(KINDS)}")
    return KINDS[kind](Draws(seed, kind, first, count, size))


def _colored(levels: Levels, size: tuple[int, int]) -> Levels:
    return np.ascontiguousarray(np.broadcast_to(levels, (len(levels), 3, *size)))


@cache
def _normal_levels() -> Levels:
    """Level of gaussian noise for each of 65,536 equal steps of probability."""
    levels: Levels = np.rint(255 * np.clip(0.5 + SIGMA * ndtri((np.arange(65536) + 0.5) / 65536), 0, 1)).astype(
        np.uint8
    )
    return levels


@cache
def _directions() -> NDArray[np.float32]:
    """Unit vectors (256, 2)."""
    angles = np.arange(256) * (2 * np.pi / 256)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


@cache
def _lattice(length: int, cells: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much each of ``cells`` + 1 points counts at each of ``length`` places: its fade, and fade times offset."""
    offset = ((np.arange(length) + 0.5) * cells / length)[:, None] - np.arange(cells + 1)
    distance = np.abs(offset).clip(max=1)
    fade = 1 - distance**3 * (distance * (distance * 6 - 15) + 10)
    return fade.astype(np.float32), (fade * offset).astype(np.float32)


@lru_cache(maxsize=4)
def _samples(size: tuple[int, int]) -> Levels:
    """The built-in samples at a size: (S, 3, H * W)."""
    pictures = [decode(read_bytes(source.location), source.path) for source in samples()]
    return np.stack([fit(picture, size, max(size), "bilinear") for picture in pictures]).reshape(len(pictures), 3, -1)
