"""Random numbers that belong to a row: the same whatever the batch, the order, the device or the interruption.

A counter-based generator makes this cheap: the numbers of a thousand rows are one array expression, a row's state is
five integers that travel with it, and nothing is shared. Draws are made with numpy on the CPU, so that every device
sees the same ones.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", https://doi.org/10.1145/2063384.2063405
(Philox4x32-10).
"""

import hashlib
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advcli.core.rows import Rows

KEY_WORDS = 4  # 64 bits are Philox's key, 64 more the upper half of its counter: in effect a key of 128 bits
_ROUNDS = 10
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint64)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def key(seed: int, sha256: str, *purpose: str) -> tuple[int, ...]:
    """Derive a row's key.

    Args:
        seed: of the run.
        sha256: of the image's bytes.
        purpose: what the numbers are for (an attack's name, a restart); other purposes give independent numbers.

    Returns:
        KEY_WORDS integers in [0, 2^32).
    """
    digest = hashlib.sha256(json.dumps([seed, sha256, *purpose]).encode()).digest()
    return tuple(int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(KEY_WORDS))


def philox(counter: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Encrypt counters, ten rounds.

    Args:
        counter: uint64 (4, ...), each below 2^32.
        keys: uint64 (2, ...), each below 2^32, broadcast against the counters.

    Returns:
        uint64 (4, ...), each below 2^32: independent uniform bits.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = keys
    for _ in range(_ROUNDS):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (product1 >> _HALF) ^ c1 ^ k0, product1 & _LOW, (product0 >> _HALF) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return np.stack([c0, c1, c2, c3])


class Streams:
    """Keyed random numbers that belong to no rows.

    Args:
        keys: int64 (N, KEY_WORDS).
    """

    def __init__(self, keys: Tensor) -> None:
        self.key = keys
        self.drawn = torch.zeros(len(keys), dtype=torch.int64, device=keys.device)

    def moved_on(self, blocks: int) -> None:
        """Move all streams on by a number of blocks of four numbers."""
        self.drawn = self.drawn + blocks


class RowNoise:
    """Draws for some rows, each from its own stream; every draw moves the streams on.

    A row's numbers depend on its key and on how much it drew before, on nothing else.

    Args:
        rows: whose ``key`` says which streams, and whose ``drawn`` says how far they are.
    """

    def __init__(self, rows: "Rows | Streams") -> None:
        self._rows = rows

    @classmethod
    def of(cls, seed: int, digests: "Sequence[str]", *purpose: str, device: torch.device | str = "cpu") -> "RowNoise":
        """Give the streams of some images without rows.

        Args:
            seed: of the run.
            digests: SHA-256 of each image's bytes, N of them.
            purpose: what the numbers are for; other purposes give independent numbers.
            device: where the draws are put.
        """
        keys = torch.tensor([key(seed, digest, *purpose) for digest in digests], device=device)
        return cls(Streams(keys))

    def uniform(self, *shape: int) -> Tensor:
        """Draw from [0, 1), in steps of 2^-24: float32 (N, *shape)."""
        return self._tensor((self._bits(shape) >> np.uint64(8)).astype(np.float32) * np.float32(2**-24))

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution: float32 (N, *shape), by inversion, so at most 6.3 in size."""
        middle = (self._bits(shape).astype(np.float64) + 0.5) * 2.0**-32
        return self._tensor(ndtri(middle).astype(np.float32))

    def sign(self, *shape: int) -> Tensor:
        """Draw -1 or 1 with equal chance: float32 (N, *shape)."""
        return self._tensor((self._bits(shape) >> np.uint64(31)).astype(np.float32) * 2 - 1)

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Draw from 0 to ``high`` - 1: int64 (N, *shape).

        Args:
            high: below 2^32, the same for all or one per row (N,); the bias of high / 2^32 is beyond notice.
            shape: of one row's draw.
        """
        ceiling = np.asarray(high.cpu() if isinstance(high, Tensor) else high, dtype=np.uint64)
        if ceiling.ndim:
            ceiling = ceiling.reshape(-1, *[1] * len(shape))
        return self._tensor(((self._bits(shape) * ceiling) >> _HALF).astype(np.int64))

    def _bits(self, shape: tuple[int, ...]) -> np.ndarray:
        """32 random bits per number, uint64 (N, *shape)."""
        count = math.prod(shape)
        blocks = -(-count // 4)
        keys = self._rows.key.cpu().numpy().astype(np.uint64).T[:, :, None]  # (4, N, 1)
        drawn = self._rows.drawn.cpu().numpy().astype(np.uint64)
        place: np.ndarray = drawn[:, None] + np.arange(blocks, dtype=np.uint64)  # (N, blocks)
        upper = np.broadcast_to(keys[2:], (2, *place.shape))
        bits = philox(np.stack([place & _LOW, place >> _HALF, *upper]), keys[:2])  # (4, N, blocks)
        self._rows.moved_on(blocks)
        return bits.transpose(1, 2, 0).reshape(len(drawn), 4 * blocks)[:, :count].reshape(len(drawn), *shape)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._rows.key.device)
