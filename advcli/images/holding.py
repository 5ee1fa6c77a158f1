"""Room for the images of a data set: in memory where they fit, else in a file that nobody else sees."""

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from advcli.errors import UsageError

_SHARE = 0.5  # of the memory that is free, at most


def room(count: int, size: int) -> NDArray[np.uint8]:
    """Make room for images.

    Args:
        count: how many.
        size: side of each, in pixels.

    Returns:
        uint8 (count, size, size, 3); behind it stands memory, or a file without a name in the folder for temporary
        files, which is gone with the array.

    Raises:
        UsageError: neither has the room.
    """
    shape, needed = (count, size, size, 3), count * size * size * 3
    if needed <= _SHARE * _free_memory():
        return np.empty(shape, np.uint8)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is said now, and not by a signal later
                os.posix_fallocate(file.fileno(), 0, needed)
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise UsageError(
            f"there is no room for {count:,} images of {size} x {size} ({needed / 1e9:,.1f} GB): {error.strerror}",
            "give fewer images, a smaller --size, or a TMPDIR with more room",
        ) from error


def _free_memory() -> int:
    """Bytes that can be had without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
