"""The images of a training: read from wherever they are, and split into what it learns from and what it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from advcli.engine._training_config import TrainConfig
from advcli.errors import UsageError
from advcli.images.arrays import load_arrays
from advcli.images.cifar10 import NAME, load_cifar10
from advcli.images.datasets import Dataset, Reading, load_labelled, split_folders
from advcli.images.holding import room
from advcli.images.sources import printable
from advcli.training.examples import Examples, Parts
from advcli.training.splits import stratified_split

_FEW = 3  # unusable pictures that are named in a warning; tables/unusable.csv has them all


@dataclass(frozen=True)
class Part:
    """Some images of a data set.

    Args:
        dataset: that they belong to.
        places: int64 (M,) in it.
    """

    dataset: Dataset
    places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of each class, (K,)."""
        return np.bincount(self.dataset.labels[self.places], minlength=len(self.dataset.classes))

    @property
    def examples(self) -> Examples:
        """As a training takes them."""
        images = torch.from_numpy(self.dataset.images).permute(0, 3, 1, 2)
        return Examples(images, torch.from_numpy(self.dataset.labels), torch.from_numpy(self.places))


@dataclass(frozen=True)
class Data:
    """All images of a training.

    Args:
        train: to learn from.
        validation: to decide by; none for none.
        test: to be judged by; none for none.
    """

    train: Part
    validation: Part | None
    test: Part | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the logits."""
        return self.train.dataset.classes

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that there are, by name."""
        known = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in known.items() if part is not None}

    @property
    def held_out(self) -> tuple[str, Part]:
        """The images that the network is judged by: of test, else validation, else the training images."""
        return list(self.parts.items())[-1]

    @property
    def datasets(self) -> list[Dataset]:
        """Each data set once."""
        return list({id(part.dataset): part.dataset for part in self.parts.values()}.values())

    @property
    def examples(self) -> Parts:
        """As a training takes them."""
        found = {name: part.examples for name, part in self.parts.items()}
        return Parts(found["train"], found.get("validation"), found.get("test"))

    @property
    def unusable(self) -> list[tuple[str, str]]:
        """Path and reason of each picture that could not be read."""
        return [one for dataset in self.datasets for one in dataset.unusable]

    @property
    def settings(self) -> dict[str, object]:
        """What the run has to be the same in."""
        counts = {
            f"{name}_images": len(self.parts[name]) if name in self.parts else 0
            for name in ("train", "validation", "test")
        }
        return {
            "classes": list(self.classes),
            **counts,
            "images_sha256": [dataset.sha256 for dataset in self.datasets],
        }

    def doubts(self) -> Iterator[str]:
        """Say what of the data could not be used, and what is missing."""
        for dataset in self.datasets:
            for name in dataset.empty:
                yield f"class {printable(name)} holds no usable picture"
        for path, why in self.unusable[:_FEW]:
            yield f"left out: {why}" if printable(path) in why else f"left out: {printable(path)}: {why}"
        if len(self.unusable) > _FEW:
            yield f"{len(self.unusable) - _FEW:,} more pictures are left out; see tables/unusable.csv"
        for name, count in zip(self.classes, self.train.counts, strict=True):
            if not count and name not in self.train.dataset.empty:
                yield f"class {printable(name)} has no image left to learn from"


def read_data(config: TrainConfig, reading: Reading, seed: int) -> Data:
    """Read the images and split them.

    Args:
        config: says which, and how they are split.
        reading: how pictures become pixels.
        seed: of the split.

    Raises:
        NoInputError: a folder, a file or CIFAR-10 is missing, or a folder has no class folders with pictures.
        UsageError: a file is damaged, classes differ, there are fewer than two of them, or a part would be empty.
    """
    tested: Dataset | None
    learned, beside = _load(config.data, config, reading, beside=config.test is None)
    if len(learned.classes) < 2:
        raise UsageError(
            f"--data has the one class {learned.classes[0]!r}", "give a folder with two class folders or more"
        )
    recipe = config.recipe
    if config.test is not None:
        tests = _load([config.test], config, reading, learned.classes)
        tested = tests[1] or tests[0]
    else:
        tested = beside
    if recipe.test:
        learned, tested = (learned if tested is None else _joined([learned, tested])), None
    shares = [1 - recipe.val - recipe.test, recipe.val, recipe.test]
    split = iter(stratified_split(learned.labels, [share for share in shares if share], seed))
    parts = [Part(learned, next(split)) if share else None for share in shares]
    whole = Part(tested, np.arange(len(tested))) if tested is not None else None
    train = parts[0]
    assert train is not None
    return Data(train, parts[1], parts[2] or whole)


def _load(
    names: Sequence[Path | str],
    config: TrainConfig,
    reading: Reading,
    classes: Sequence[str] | None = None,
    *,
    beside: bool = True,
) -> tuple[Dataset, Dataset | None]:
    """Read everything that is named: what is to be learned, and the test images that lie beside it."""
    folders = [Path(name) for name in names if not _is_file(name) and str(name) != NAME]
    learned, tested = list[Dataset](), list[Dataset]()
    if folders:
        split = [split_folders(folder) for folder in folders]
        learned.append(load_labelled([folder for folder, _ in split], reading, classes))
        tests = list(dict.fromkeys(test for _, test in split if test is not None))
        if tests and beside:
            tested.append(load_labelled(tests, reading, learned[0].classes))
    for name in names:
        if str(name) == NAME:
            train, test = load_cifar10(reading, download=config.download)
            learned.append(train)
            tested += [test] if beside else []
        elif _is_file(name):
            learned.append(load_arrays(Path(name), reading, classes))
    return _joined(learned), _joined(tested) if tested else None


def _is_file(name: Path | str) -> bool:
    return Path(name).suffix.lower() == ".npz"


def _joined(datasets: Sequence[Dataset]) -> Dataset:
    """Put data sets of the same classes behind one another."""
    first = datasets[0]
    if len(datasets) == 1:
        return first
    for other in datasets[1:]:
        if other.classes != first.classes:
            raise UsageError(
                f"the data have different classes: {', '.join(first.classes)}; {', '.join(other.classes)}",
                "give data with the same classes",
            )
    images = room(sum(map(len, datasets)), first.images.shape[1])
    place = 0
    for one in datasets:
        images[place : place + len(one)] = one.images
        place += len(one)
    labels = np.concatenate([one.labels for one in datasets])
    present = {first.classes[place] for place in np.unique(labels)}
    return Dataset(
        images,
        labels,
        first.classes,
        tuple(bad for one in datasets for bad in one.unusable),
        tuple(sorted({name for one in datasets for name in one.empty} - present)),
        tuple(name for one in datasets for name in one.names),
    )
