"""Labelled images in one ``.npz`` file."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from advcli.errors import NoInputError, UsageError
from advcli.images.datasets import Dataset, Reading
from advcli.images.holding import room
from advcli.images.reading import fit
from advcli.images.sources import printable

_HINT = "it needs images, uint8 (N, H, W, 3), labels (N,) as numbers from 0 or as names, and may have classes, names"


def load_arrays(path: Path, reading: Reading, classes: Sequence[str] | None = None) -> Dataset:
    """Read ``images``, ``labels`` and perhaps ``classes`` from a file that ``numpy.savez`` wrote; pickles are refused.

    Args:
        path: of the file.
        reading: images of another size are resized and cropped so.
        classes: names to expect, which are kept also where they have no image; by default those of the file, else the
            names among the labels, sorted, else ``0``, ``1``, ... up to the highest label.

    Raises:
        NoInputError: there is no such file.
        UsageError: it is damaged, an array is missing or has another type or shape, labels and names do not agree.
    """
    name = printable(str(path))
    arrays = _read(path, name)
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
        raise UsageError(f"images of {name} are {images.dtype} {images.shape}", _HINT)
    if labels.shape != (len(images),):
        raise UsageError(f"labels of {name} are {labels.shape} for {len(images)} images", _HINT)
    numbers, names = _numbered(labels, arrays.get("classes"), name)
    if classes is not None:
        numbers, names = _renumbered(numbers, names, tuple(classes), name)
    empty = tuple(one for place, one in enumerate(names) if not (numbers == place).any())
    titles = tuple(f"{path.name}[{place}]" for place in range(len(images)))
    return Dataset(resized(images, reading), numbers, names, (), empty, titles)


def resized(images: np.ndarray, reading: Reading) -> np.ndarray:
    """Bring images, uint8 (N, H, W, 3), to the size that is read; those that have it are given as they are."""
    if images.shape[1:3] == (reading.size, reading.size):
        return np.array(images)  # what was mapped from a file may be read-only, which torch does not like
    made = room(len(images), reading.size)
    for place, one in enumerate(images):
        picture = Image.fromarray(one)
        made[place] = fit(picture, (reading.size, reading.size), reading.resize, reading.interpolation).transpose(
            1, 2, 0
        )
    return made


def _read(path: Path, name: str) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise NoInputError(f"{name} is not a file", "give --data FILE.npz")
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UsageError(f"{name} is a single array", _HINT)
            found: dict[str, np.ndarray] = {
                key: file[key] for key in ("images", "labels", "classes") if key in file.files
            }
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{name} is no .npz file, is damaged or holds pickles: {reason}", _HINT) from error
    missing = next((key for key in ("images", "labels") if key not in found), None)
    if missing is not None:
        raise UsageError(f"{name} has no array {missing!r}", _HINT)
    return found


def _numbered(labels: np.ndarray, named: np.ndarray | None, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn labels into numbers and give the names of the classes."""
    if named is not None and (named.ndim != 1 or named.dtype.kind != "U" or len(set(named.tolist())) != len(named)):
        raise UsageError(f"classes of {name} are no list of names, each once", _HINT)
    if labels.dtype.kind == "U":
        names = tuple(sorted(set(labels.tolist()))) if named is None else tuple(named.tolist())
        strange = sorted(set(labels.tolist()) - set(names))
        if strange:
            raise UsageError(f"{name} has a label {strange[0]!r} that is not one of its classes", _HINT)
        places = {one: place for place, one in enumerate(names)}
        return np.array([places[one] for one in labels.tolist()], dtype=np.int64), names
    if labels.dtype.kind not in "iu":
        raise UsageError(f"labels of {name} are {labels.dtype}", _HINT)
    numbers = labels.astype(np.int64)
    highest = int(numbers.max())
    names = tuple(map(str, range(highest + 1))) if named is None else tuple(named.tolist())
    if numbers.min() < 0 or highest >= len(names) or highest > len(numbers) * 100:
        raise UsageError(f"labels of {name} run from {numbers.min()} to {highest}, for {len(names)} classes", _HINT)
    return numbers, names


def _renumbered(
    numbers: np.ndarray, names: tuple[str, ...], classes: tuple[str, ...], name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    strange = sorted({names[place] for place in np.unique(numbers)} - set(classes))
    if strange:
        raise UsageError(
            f"{name} has a class {strange[0]!r} that is not one of {', '.join(classes)}",
            "give data with the same classes",
        )
    moved = np.array([classes.index(one) if one in classes else -1 for one in names], dtype=np.int64)
    return moved[numbers], classes
