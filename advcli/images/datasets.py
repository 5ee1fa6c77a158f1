"""Folders of class folders, held as eight-bit pixels: what ``train`` learns from."""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advcli.errors import ImageError, NoInputError, UsageError
from advcli.images.holding import room
from advcli.images.reading import SUFFIXES, decode, fit, read_bytes
from advcli.images.sources import printable

_TOGETHER = 2048  # pictures that are read before the next are begun


@dataclass(frozen=True)
class Dataset:
    """Images, their classes, and what could not be used.

    Args:
        images: uint8 (N, H, W, 3).
        labels: int64 (N,), indices into ``classes``.
        classes: names, sorted where no others were asked for.
        unusable: path and reason of each picture that could not be read.
        empty: class folders without a usable picture, or classes without an image.
        names: of the images, such as ``cat/0001.png``; empty where they have none.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    unusable: tuple[tuple[str, str], ...] = ()
    empty: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def sha256(self) -> str:
        """Digest of classes, labels and pixels, in their order."""
        digest = hashlib.sha256("\n".join(self.classes).encode("utf-8", "surrogateescape"))
        for values in (self.labels, self.images):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Reading:
    """How a picture becomes the pixels that are kept; see ``reading.fit``.

    Args:
        size: side of the square input, in pixels.
        resize: what the shorter side is resized to before the center crop.
        interpolation: of the resize.
    """

    size: int
    resize: int
    interpolation: str = "bilinear"


def load_labelled(folders: Sequence[Path], reading: Reading | int, classes: Sequence[str] | None = None) -> Dataset:
    """Read every picture in FOLDER/CLASS/, all folders together.

    A picture that cannot be read is left out and named in ``unusable``. A class folder without a usable picture is
    no class, and is named in ``empty``.

    Args:
        folders: with one folder per class each; one that is named twice counts twice.
        reading: pictures of another size are resized and cropped so; a number stands for the side of both.
        classes: names to expect, which are kept also where they have no picture; by default those that are found.

    Raises:
        NoInputError: a folder is missing or has no class folders with pictures.
        UsageError: a folder has a class that ``classes``, or the first folder, does not have; no picture is usable.
    """
    found = [_class_folders(folder) for folder in folders]
    names = tuple(classes) if classes is not None else tuple(sorted(found[0]))
    _refuse_other_classes(folders, found, names)
    listed = [(path, name) for inside in found for name, paths in inside.items() for path in paths]
    if not listed:
        raise NoInputError(
            f"{folders[0]} has no class folders with pictures", "give --data a folder like FOLDER/cat/0001.png"
        )
    how = Reading(reading, reading) if isinstance(reading, int) else reading
    images, labels, unusable, used = _read_all(listed, how, names)
    if not used:
        path, why = unusable[0]
        raise UsageError(f"none of the {len(listed)} pictures can be used; {printable(path)}: {why}", "look at --data")
    present = {names[place] for place in np.unique(labels)}
    kept = names if classes is not None else tuple(name for name in names if name in present)
    moved = np.array([kept.index(name) if name in kept else -1 for name in names], dtype=np.int64)
    empty = tuple(sorted({name for inside in found for name in inside} - present))
    return Dataset(images, moved[labels], kept, tuple(unusable), empty, used)


def _read_all(
    listed: Sequence[tuple[Path, str]], how: Reading, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]], tuple[str, ...]]:
    """Read pictures of known classes: pixels, labels, what is unusable, and the names of what is not."""
    places = {name: place for place, name in enumerate(names)}
    images, labels, used = room(len(listed), how.size), np.zeros(len(listed), np.int64), list[str]()
    unusable: list[tuple[str, str]] = []
    with ThreadPoolExecutor() as pool:
        for first in range(0, len(listed), _TOGETHER):  # some at a time: what is read must not wait in memory
            some = listed[first : first + _TOGETHER]
            read = pool.map(lambda one: _pixels(one[0], how), some, chunksize=64)
            for (path, name), pixels in zip(some, read, strict=True):
                if isinstance(pixels, str):
                    unusable.append((str(path), pixels))
                    continue
                images[len(used)], labels[len(used)] = pixels, places[name]
                used.append(f"{name}/{path.name}")
    return images[: len(used)], labels[: len(used)], unusable, tuple(used)


def split_folders(folder: Path) -> tuple[Path, Path | None]:
    """Find the folder to learn from and the folder to measure on.

    Returns:
        ``folder/train`` and ``folder/test`` (none where it is missing), or the folder itself and none. A ``train``
        without folders inside is a class of trains.
    """
    train, test = folder / "train", folder / "test"
    if not _has_folders(train):
        return folder, None
    return train, test if _has_folders(test) else None


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """List the pictures of each class folder; hidden files and folders are left out."""
    if not folder.is_dir():
        raise NoInputError(
            f"{printable(str(folder))} is not a folder", "give --data a folder with one folder per class"
        )
    return {child.name: sorted(_pictures(child)) for child in sorted(folder.iterdir()) if _is_visible_folder(child)}


def _pictures(folder: Path) -> Iterable[Path]:
    return (
        path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )  # fmt: skip


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(_is_visible_folder(child) for child in folder.iterdir())


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _refuse_other_classes(
    folders: Sequence[Path], found: Sequence[dict[str, list[Path]]], names: Sequence[str]
) -> None:
    for folder, inside in zip(folders, found, strict=True):
        other = sorted(name for name, paths in inside.items() if paths and name not in names)
        if other:
            raise UsageError(
                f"{printable(str(folder))} has a class {other[0]!r} that is not one of {', '.join(names)}",
                "give folders with the same classes",
            )


def _pixels(path: Path, how: Reading) -> np.ndarray | str:
    """Read one picture as uint8 (H, W, 3), or say why that cannot be done."""
    try:
        picture = decode(read_bytes(path), str(path))
        return fit(picture, (how.size, how.size), how.resize, how.interpolation).transpose(1, 2, 0)
    except ImageError as error:
        return error.message
