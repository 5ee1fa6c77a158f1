"""Train: a network of our own on folders of pictures, written as a file that ``--model`` takes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from advcli.core.results import Report, Timings
from advcli.engine.describe import environment, model_report, now
from advcli.engine.folder import opened, require_same, save_report
from advcli.errors import UsageError
from advcli.images.datasets import Labelled, load_labelled
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card, Preprocessing
from advcli.models.checkpoints import write_model
from advcli.models.classifier import Classifier
from advcli.models.devices import pick_device
from advcli.reports.tables import write_csv
from advcli.training.loop import Epoch, Pictures, fit
from advcli.training.recipes import Recipe

Triple = tuple[float, float, float]
MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Lesson:
    """What is to be learned, and how.

    Args:
        data: folders of class folders, or of ``train/`` and ``test/`` with them; one that is named twice counts twice.
        test: such a folder to measure on after every epoch; by default the ``test/`` beside ``train/``, if any.
        arch: an architecture of ours.
        recipe: rates and lengths.
        mean: normalization; by default the training pictures' own.
        std: likewise.
        seed: of initial weights, order, augmentation and dropout.
    """

    data: tuple[Path, ...]
    arch: str = "cifar-resnet20"
    test: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    mean: Triple | None = None
    std: Triple | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an architecture that is none of ours."""
        if self.arch not in ARCHITECTURES:
            raise UsageError(f"--arch {self.arch!r} cannot be trained", f"use one of {', '.join(ARCHITECTURES)}")


def train(
    lesson: Lesson,
    out: Path,
    *,
    device: str = "auto",
    overwrite: bool = False,
    command_line: str = "",
    each_epoch: Callable[[Epoch, int], None] | None = None,
) -> Report:
    """Train a network, or go on where a training was interrupted.

    Args:
        lesson: data, architecture and recipe.
        out: folder of the run: ``model.safetensors``, ``report.json``, ``tables/history.csv`` and a checkpoint.
        device: ``auto`` takes CUDA, then MPS, then the CPU.
        overwrite: throw away another run in the folder.
        command_line: as typed.
        each_epoch: called after each epoch, with the number of all epochs.

    Returns:
        The report; its summary holds ``train_accuracy`` and, with test pictures, ``test_accuracy`` of the last epoch.

    Raises:
        AdvcliError: wrong settings, data that cannot be read, a folder that cannot be written.
    """
    began, started = time.perf_counter(), now()
    where = pick_device(device)
    with opened(out, overwrite=overwrite) as before:
        learned, tested = _data(lesson)
        preprocessing = _preprocessing(lesson, learned)
        with torch.random.fork_rng():
            torch.manual_seed(lesson.seed)
            network = ARCHITECTURES[lesson.arch].build(len(learned.classes))
            report = _report(lesson, learned, tested, where, command_line, started)
            if before is not None:
                require_same(before, report, out)
            save_report(out, report)
            history = fit(
                network,
                _pictures(learned),
                _pictures(tested) if tested else None,
                lesson.recipe,
                normalize=_normalizer(preprocessing, where),
                seed=lesson.seed,
                device=where,
                checkpoint=out / CHECKPOINT,
                each_epoch=lambda epoch: each_epoch(epoch, lesson.recipe.epochs) if each_epoch else None,
            )
        seconds = time.perf_counter() - began
        return _finish(lesson, out, network.cpu(), learned.classes, preprocessing, history, report, seconds)


def _data(lesson: Lesson) -> tuple[Labelled, Labelled | None]:
    size = ARCHITECTURES[lesson.arch].size
    folders = [folder / "train" if (folder / "train").is_dir() else folder for folder in lesson.data]
    beside = [folder / "test" for folder in lesson.data if (folder / "train").is_dir() and (folder / "test").is_dir()]
    tests = [lesson.test] if lesson.test else beside[:1]
    learned = load_labelled(folders, size)
    return learned, load_labelled(tests, size, learned.classes) if tests else None


def _preprocessing(lesson: Lesson, learned: Labelled) -> Preprocessing:
    size = ARCHITECTURES[lesson.arch].size
    sample = learned.images[:: max(1, len(learned) // 5000)].astype(np.float64) / 255
    mean = lesson.mean or _triple(sample.mean((0, 1, 2)))
    std = lesson.std or _triple(sample.std((0, 1, 2)))
    return Preprocessing((size, size), size, mean=mean, std=std)


def _triple(values: np.ndarray) -> Triple:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _pictures(labelled: Labelled) -> Pictures:
    images = torch.from_numpy(labelled.images).permute(0, 3, 1, 2).contiguous()
    return Pictures(images, torch.from_numpy(labelled.labels))


def _normalizer(preprocessing: Preprocessing, device: torch.device) -> Callable[[Tensor], Tensor]:
    mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
    return lambda pixels: (pixels - mean) / std


def _report(
    lesson: Lesson, learned: Labelled, tested: Labelled | None, device: torch.device, command_line: str, started: str
) -> Report:
    return Report(
        command="train",
        command_line=command_line,
        settings={
            "arch": lesson.arch,
            "recipe": asdict(lesson.recipe),
            "mean": lesson.mean,
            "std": lesson.std,
            "classes": learned.classes,
        },
        model=None,
        environment=environment(device),
        seed=lesson.seed,
        block=None,
        inputs={
            "data": [str(folder) for folder in lesson.data],
            "train": len(learned),
            "test": len(tested) if tested else 0,
        },
        started=started,
    )


def _finish(
    lesson: Lesson,
    out: Path,
    network: nn.Module,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    history: Sequence[Epoch],
    report: Report,
    seconds: float,
) -> Report:
    card = Card(lesson.arch, lesson.arch, str(out / MODEL), tuple(classes), preprocessing)
    write_model(out / MODEL, network, card)
    write_csv([asdict(epoch) for epoch in history], out / "tables" / "history.csv")
    last = history[-1]
    done = report.model_copy(
        update={
            "model": model_report(Classifier(network, card)),
            "summary": {
                "epochs": last.epoch,
                "train_accuracy": last.train_accuracy,
                "test_accuracy": last.test_accuracy,
                "training_seconds": sum(epoch.seconds for epoch in history),
            },
            "tables": {"history": "tables/history.csv"},
            "timings": Timings(seconds=seconds, images_per_second=None, images=0),
            "finished": now(),
            "exit_code": 0,
        }
    )
    save_report(out, done)
    return done
