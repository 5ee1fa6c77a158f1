"""A folder of class folders, held in memory as eight-bit pixels: what ``train`` learns from."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from advcli.errors import NoInputError, UsageError
from advcli.images.reading import SUFFIXES, decode, read_bytes


@dataclass(frozen=True)
class Labelled:
    """Pictures and what they show.

    Args:
        images: uint8 (N, H, W, 3).
        labels: int64 (N,), places in ``classes``.
        classes: names of the class folders, sorted.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


def load_labelled(folders: Sequence[Path], size: int, classes: Sequence[str] | None = None) -> Labelled:
    """Read every picture below FOLDER/CLASS/, all folders together.

    Args:
        folders: image folders; one that is named twice counts twice.
        size: side of the square that pictures are resized to, in pixels.
        classes: the class names to expect; by default those of the first folder.

    Raises:
        NoInputError: a folder is missing or holds no class folders with pictures.
        UsageError: a folder has a class that the others lack.
        ImageError: a picture cannot be read.
    """
    names = tuple(classes) if classes is not None else tuple(_class_folders(folders[0]))
    paths: list[Path] = []
    labels: list[int] = []
    for folder in folders:
        for name, inside in _class_folders(folder).items():
            if name not in names:
                raise UsageError(
                    f"{folder} has a class {name!r} that is not one of {', '.join(names)}",
                    "give folders of one set of classes",
                )
            paths += inside
            labels += [names.index(name)] * len(inside)
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda path: _pixels(path, size), paths, chunksize=64))
    return Labelled(np.stack(images), np.asarray(labels, dtype=np.int64), names)


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise NoInputError(f"{folder} is not a folder", "give --data a folder with one folder per class")
    found = {
        child.name: sorted(path for path in child.iterdir() if path.suffix.lower() in SUFFIXES)
        for child in sorted(folder.iterdir())
        if child.is_dir()
    }
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        raise NoInputError(
            f"{folder} holds no class folders with pictures", "give --data a folder like FOLDER/cat/0001.png"
        )
    return found


def _pixels(path: Path, size: int) -> np.ndarray:
    picture = decode(read_bytes(path), str(path))
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture)
