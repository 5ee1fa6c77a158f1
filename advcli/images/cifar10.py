"""CIFAR-10 as torchvision keeps it: downloaded on request, its checksums verified."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from advcli.errors import NoInputError
from advcli.images.arrays import resized
from advcli.images.datasets import Dataset, Reading

NAME = "cifar10"


def folder() -> Path:
    """Say where CIFAR-10 is kept: ``advcli`` in the user's folder for caches."""
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(caches) if Path(caches).is_absolute() else Path.home() / ".cache") / "advcli"


def load_cifar10(reading: Reading, *, download: bool) -> tuple[Dataset, Dataset]:
    """Read the training and the test images.

    Args:
        reading: images are resized so; 32 leaves them as they are.
        download: fetch them where they are not there.

    Raises:
        NoInputError: they are not there, or are damaged, or cannot be downloaded.
    """
    return _part(reading, train=True, download=download), _part(reading, train=False, download=False)


def _part(reading: Reading, *, train: bool, download: bool) -> Dataset:
    found = _open(train=train, download=download)
    labels = np.array(found.targets, dtype=np.int64)
    word = "train" if train else "test"
    names = tuple(f"{word}[{place}]" for place in range(len(labels)))
    return Dataset(resized(found.data, reading), labels, tuple(found.classes), names=names)


def _open(*, train: bool, download: bool) -> Any:
    from torchvision.datasets import CIFAR10

    where = folder()
    archive = where / CIFAR10.filename
    try:
        return CIFAR10(str(where), train=train, download=download or archive.is_file())
    except Exception as error:  # the download fails in any way that networks and archives can
        put = f"put {CIFAR10.filename} (MD5 {CIFAR10.tgz_md5}) into {where}, or give --data FOLDER or FILE.npz"
        if download or archive.is_file():
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise NoInputError(f"CIFAR-10 cannot be had from {CIFAR10.url}: {reason}", put) from error
        raise NoInputError(
            f"CIFAR-10 is not in {where}, or is damaged", f"give --download, 170 MB; or {put}"
        ) from error
