"""advcli train: a network of our own on folders of images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from advcli.cli import parsing
from advcli.cli.options import RunOptions
from advcli.cli.running import carry_out
from advcli.errors import UsageError
from advcli.training.recipes import RECIPES, RecipeName


def train(
    run: RunOptions,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FOLDER", help="Class folders, or train/ and test/ with them; repeat for more."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Measure here after every epoch.", show_default="test/ beside train/"),
    ] = None,
    arch: Annotated[str, typer.Option(metavar="NAME", help="See advcli model list.")] = "cifar-resnet20",
    recipe: Annotated[
        RecipeName, typer.Option(metavar="fast|seed-003|seed-004", help="Rates, lengths and augmentation.")
    ] = "fast",
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Passes over the images.", show_default="the recipe's; fast: 30"),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="X", help="Highest learning rate.", show_default="the recipe's; fast: 0.4")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="flip, crop=4, rotate=10, cutout=16 or none.",
            show_default="the recipe's; fast: crop,flip",
        ),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Normalization.", show_default="the data's own")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Normalization.", show_default="the data's own")
    ] = None,
) -> None:
    """Train a network on folders of images; the same command goes on after an interruption.

    Examples:
      advcli train --data cifar10/ --arch cifar-resnet20 --out cifar
      advcli train --data cifar10/ --recipe seed-003 --epochs 10 --dry-run
      advcli train --data photos/ --data more/ --test held-out/ --seed 1 --json
    """
    if not folders:
        raise UsageError("there is nothing to learn from", "give --data FOLDER, a folder with one folder per class")
    changes: dict[str, Any] = {
        "epochs": epochs,
        "rate": rate,
        "augment": _words(augment),
        "mean": parsing.triple(mean, "--mean"),
        "std": parsing.triple(std, "--std"),
    }

    from advcli.engine.train import TrainCommand, TrainConfig

    config = TrainConfig(
        data=tuple(parsing.absolute(folder) for folder in folders),
        arch=arch,
        test=parsing.absolute(test) if test else None,
        recipe=replace(RECIPES[recipe], **{name: value for name, value in changes.items() if value is not None}),
    )
    carry_out(TrainCommand(config), run)


def _words(text: str | None) -> tuple[str, ...] | None:
    """Read a list of augmentations; ``none`` is an empty one."""
    if text is None:
        return None
    return () if text.strip() == "none" else tuple(word.strip() for word in text.split(","))
