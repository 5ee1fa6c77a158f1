"""Random numbers for many samples of many images, each the same in whatever order and company it is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.randomness import key
from advcli.core.shapes import Integers


@dataclass(frozen=True)
class SampleNoise:
    """One stream of random numbers for every sample of every image.

    Large draws at random places are what explanations need, so the bits come from numpy's own Philox (4x64, 10 rounds),
    whose stream numpy keeps stable, one generator per sample: on 224 x 224 pixels six times as fast as
    ``core.randomness``, which draws little for many rows at once. They are made on the CPU, the same for every device.

    Args:
        keys: (N, KEY_WORDS) of the images.
    """

    keys: Tensor

    @classmethod
    def of(cls, seed: int, digests: Sequence[str], *purpose: str) -> "SampleNoise":
        """Key the streams.

        Args:
            seed: of the run.
            digests: SHA-256 of each image's content.
            purpose: what the numbers are for, such as the method's name.
        """
        return cls(torch.tensor([key(seed, digest, *purpose) for digest in digests]))

    def __getitem__(self, rows: slice) -> "SampleNoise":
        """Take the streams of some images."""
        return SampleNoise(self.keys[rows])

    def normal(self, rows: Integers, indices: Integers, *shape: int) -> Tensor:
        """Draw from the standard normal distribution, by inversion of 32 bits, so at most 6.3 in size.

        Args:
            rows: (M,) image of each sample.
            indices: (M,) number of each sample among those of its image.
            shape: of one sample's draw.

        Returns:
            (M, *shape), float64, on the device of ``rows``.
        """
        count = math.prod(shape)
        bits = [self._bits(row, index, count) for row, index in zip(rows.tolist(), indices.tolist(), strict=True)]
        drawn = [torch.special.ndtri((torch.from_numpy(one.astype(np.float64)) + 0.5) * 2.0**-32) for one in bits]
        return wide(torch.stack(drawn).to(torch.float32).to(rows.device)).view(len(rows), *shape)

    def uniform(self, rows: Integers, indices: Integers, *shape: int) -> Tensor:
        """Draw from [0, 1), in steps of 2^-24; arguments and result as for ``normal``.

        The numbers are made of the bits that ``normal`` would use: of one row and index, draw the one or the other.
        """
        count = math.prod(shape)
        bits = [self._bits(row, index, count) for row, index in zip(rows.tolist(), indices.tolist(), strict=True)]
        drawn = (np.stack(bits) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
        return wide(torch.from_numpy(drawn).to(rows.device)).view(len(rows), *shape)

    def _bits(self, row: int, index: int, count: int) -> np.ndarray:
        """``count`` random numbers of 32 bits."""
        low, high, upper, top = self.keys[row].tolist()
        generator = np.random.Philox(key=[low | high << 32, upper | top << 32], counter=[0, 0, index, 0])
        return generator.random_raw(-(-count // 2)).view(np.uint32)[:count]
