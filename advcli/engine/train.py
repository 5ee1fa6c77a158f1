"""Train: a network of our own on folders of images, written as a file that ``--model`` takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from advcli.core.records import EpochRecord, Record
from advcli.core.report import Report
from advcli.errors import UsageError
from advcli.images.datasets import Dataset, load_labelled, split_folders
from advcli.images.sources import printable
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card, Preprocessing
from advcli.models.devices import pick_device
from advcli.models.loading.checkpoints import write_model
from advcli.models.loading.request import SMALLEST_STD
from advcli.reports.summaries import rate
from advcli.runs.command import Case, Item, Known, Prepared, Product, RunConfig, Summary
from advcli.runs.grid import case_id
from advcli.runs.life import run
from advcli.training.augmentation import parse_augment
from advcli.training.loop import Epoch, Examples, Normalized, fit
from advcli.training.recipes import Recipe, Triple

__all__ = ["CHECKPOINT", "MODEL", "TrainCommand", "TrainConfig", "train"]

MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.pt"
_FEW = 3  # unusable pictures that are named in a warning; tables/unusable.csv has them all
_HISTORY = ("epoch", "loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate")
_SAMPLE = 5000  # images that the normalization is measured on
Todo = Iterator[tuple[Item, Sequence[Case]]]


def train(config: RunConfig, what: "TrainConfig") -> Report:
    """Train a network, or go on where a training was interrupted.

    Args:
        config: of the run; the same seed and settings give the same weights on the same machine.
        what: data, architecture and recipe.

    Returns:
        The report of the run in ``config.out``, where ``model.safetensors`` is; records are ``EpochRecord``.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, TrainCommand(what))


@dataclass(frozen=True)
class TrainConfig:
    """What is to be learned, and how.

    Args:
        data: folders of class folders, or of ``train/`` and ``test/`` with class folders inside; one that is named
            twice counts twice.
        arch: name of an architecture of ours.
        test: folder of class folders to measure on after every epoch; by default the ``test/`` beside ``train/``.
        recipe: rates, lengths and augmentation.
    """

    data: tuple[Path, ...]
    arch: str = "cifar-resnet20"
    test: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            UsageError: the architecture is none of ours, or a part of the recipe has no meaning.
        """
        if self.arch not in ARCHITECTURES:
            raise UsageError(f"--arch {self.arch!r} cannot be trained", f"use one of {', '.join(ARCHITECTURES)}")
        if self.recipe.std is not None and min(self.recipe.std) < SMALLEST_STD:
            raise UsageError(f"--std {self.recipe.std} is below {SMALLEST_STD}", "pixels are in [0, 1]")
        parse_augment(self.recipe.augment)


@dataclass(frozen=True)
class TrainCommand:
    """Describes a training run, whose items are epochs; see ``Command``.

    Args:
        config: what is to be learned.
    """

    config: TrainConfig

    name: ClassVar[str] = "train"
    record: ClassVar[type[Record]] = EpochRecord
    noun: ClassVar[tuple[str, str]] = ("epoch", "epochs")
    figures: ClassVar[tuple[str, ...]] = ("epochs", "errors", "loss", "train_accuracy", "test_accuracy")

    def prepare(self, config: RunConfig, before: Report | None) -> Prepared:
        """Read the images."""
        del before
        learned, tested = read_data(self.config)
        recipe = self.config.recipe
        training = Training(self.config, config, learned, tested)
        return Prepared(
            items=[Item(f"epoch-{number:04}", payload=number) for number in range(1, recipe.epochs + 1)],
            cases=[Case(case_id([self.config.arch]), {})],
            work=training.work,
            summarize=training.summarize,
            columns=["item", "case", "status", *_HISTORY],
            settings=training.settings,
            preflight=[*_doubts(learned, "train"), *(_doubts(tested, "test") if tested else ())],
            environment={"precision": recipe.precision, "data": [str(folder) for folder in self.config.data]},
        )


@dataclass(frozen=True)
class Training:
    """Trains one network.

    Args:
        config: what is to be learned.
        run: of the run.
        learned: images to learn from.
        tested: images to measure on after every epoch.
    """

    config: TrainConfig
    run: RunConfig
    learned: Dataset
    tested: Dataset | None

    @cached_property
    def settings(self) -> dict[str, object]:
        """What decides the weights, beside the seed."""
        recipe = {name: value for name, value in asdict(self.config.recipe).items() if name not in ("mean", "std")}
        how = self._preprocessing
        counts = {"train_images": len(self.learned), "test_images": len(self.tested) if self.tested else 0}
        digests = [part.sha256 for part in (self.learned, self.tested) if part]
        return {
            "arch": self.config.arch,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in recipe.items()},
            "mean": list(how.mean),
            "std": list(how.std),
            "classes": list(self.learned.classes),
            **counts,
            "images_sha256": digests,
        }

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Train the epochs that are left; of those that the checkpoint has, tell what the run does not know yet."""
        del known
        left = {item.payload: (item, cases[0]) for item, cases in todo}
        if not left and (self.run.out / MODEL).exists():
            return
        architecture, recipe = ARCHITECTURES[self.config.arch], self.config.recipe
        with torch.random.fork_rng():
            torch.manual_seed(self.run.seed)
            network = architecture.build(len(self.learned.classes))
        how = self._preprocessing
        epochs = fit(
            Normalized(network, how.mean, how.std),
            _examples(self.learned),
            _examples(self.tested) if self.tested else None,
            recipe,
            seed=self.run.seed,
            device=pick_device(self.run.device),
            checkpoint=self.run.out / CHECKPOINT,
            identity=repr((self.run.seed, self.settings)),
            on_step=self.run.listener.progress,
        )
        for epoch in epochs:
            if epoch.epoch == recipe.epochs:  # before its record: a run whose records are complete has its model
                path = self.run.out / MODEL
                write_model(
                    path, network, Card(self.config.arch, self.config.arch, str(path), self.learned.classes, how)
                )
            if epoch.epoch in left:
                item, case = left[epoch.epoch]
                yield Product(item, EpochRecord(item=item.identity, case=case.id, **asdict(epoch)))
            self.run.listener.phase(_figures(epoch))

    def summarize(self, frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
        """Give the figures of the last epoch, and the history and the unusable pictures as tables."""
        history = frame[list(_HISTORY)].sort_values("epoch").astype(object)
        rows: list[dict[str, Any]] = [
            {str(name): value for name, value in row.items()}
            for row in history.where(history.notna(), None).to_dict("records")
        ]
        last = rows[-1]
        figures: dict[str, object] = {
            "loss": last["loss"],
            "train_accuracy": last["train_accuracy"],
            **self._tested(last["test_accuracy"]),
        }
        unusable = [*self.learned.unusable, *(self.tested.unusable if self.tested else ())]
        tables: dict[str, Sequence[Mapping[str, object]]] = {"history": rows}
        if unusable:
            tables["unusable"] = [{"path": printable(path), "error": why} for path, why in unusable]
        values = {
            "epochs": len(rows),
            "errors": len(unusable),
            "train_images": len(self.learned),
            "test_images": len(self.tested) if self.tested else 0,
            **figures,
            "cases": [{"case": case, **figures, "model": MODEL} for case in cases],
        }
        return Summary(values, tables)

    @cached_property
    def _preprocessing(self) -> Preprocessing:
        size = ARCHITECTURES[self.config.arch].size
        sample = self.learned.images[:: max(1, len(self.learned) // _SAMPLE)].astype(np.float64) / 255
        mean = self.config.recipe.mean or _triple(sample.mean((0, 1, 2)))
        # Images of a single color spread by nothing, and nothing can be divided by nothing.
        std = self.config.recipe.std or _triple(sample.std((0, 1, 2)).clip(min=1e-3))
        return Preprocessing((size, size), size, mean=mean, std=std)

    def _tested(self, accuracy: float | None) -> dict[str, float | None]:
        if self.tested is None or accuracy is None:
            return {"test_accuracy": None}
        return rate("test_accuracy", round(accuracy * len(self.tested)), len(self.tested))


def read_data(config: TrainConfig) -> tuple[Dataset, Dataset | None]:
    """Read the images to learn from, and those to measure on, if any.

    Raises:
        NoInputError: a folder is missing or has no class folders with pictures.
        UsageError: classes differ between folders, fewer than two classes, or no picture is usable.
    """
    size = ARCHITECTURES[config.arch].size
    split = [split_folders(folder) for folder in config.data]
    beside = list(dict.fromkeys(test for _, test in split if test is not None))
    learned = load_labelled([folder for folder, _ in split], size)
    if len(learned.classes) < 2:
        raise UsageError(
            f"--data has the one class {learned.classes[0]!r}", "give a folder with two class folders or more"
        )
    tests = [config.test] if config.test is not None else beside
    return learned, load_labelled(tests, size, learned.classes) if tests else None


def _examples(dataset: Dataset) -> Examples:
    images = torch.from_numpy(dataset.images).permute(0, 3, 1, 2).contiguous()
    return Examples(images, torch.from_numpy(dataset.labels))


def _doubts(dataset: Dataset, part: str) -> Iterator[str]:
    """Say what of the data could not be used."""
    for name in dataset.empty:
        yield f"class folder {printable(name)} of the {part} data holds no usable picture"
    for path, why in dataset.unusable[:_FEW]:
        yield f"left out: {why}" if printable(path) in why else f"left out: {printable(path)}: {why}"
    if len(dataset.unusable) > _FEW:
        yield f"{len(dataset.unusable) - _FEW:,} more pictures of the {part} data are left out; see tables/unusable.csv"


def _triple(values: np.ndarray) -> Triple:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _figures(epoch: Epoch) -> str:
    """Write what a person who waits wants to know of the last epoch."""
    tested = "" if epoch.test_accuracy is None else f", test {epoch.test_accuracy:.4f}"
    return f"loss {epoch.loss:.4f}, train {epoch.train_accuracy:.4f}{tested}, rate {epoch.learning_rate:.2g}"
