"""advcli train: a network to ask."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advcli.cli import parsing
from advcli.cli.streams import data
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.training.loop import Epoch


def train(
    folders: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="FOLDER", help="Class folders, or train/ and test/ with them; repeat for more."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Measure here after every epoch.", show_default="test/ beside train/"),
    ] = None,
    arch: Annotated[str, typer.Option(metavar="NAME", help="See advcli model list.")] = "cifar-resnet20",
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Passes over the pictures.")] = 30,
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Normalization.", show_default="the data's own")
    ] = None,
    std: Annotated[
        str | None, typer.Option(metavar="R,G,B", help="Normalization.", show_default="the data's own")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all randomness.")] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", help="Where to compute.")] = "auto",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the run.")] = Path(
        "advcli-train"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Throw away another run in the folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the path of the model only.")] = False,
) -> None:
    """Train a network on folders of pictures; the same command goes on after an interruption.

    Example: advcli train --data cifar10/ --arch cifar-resnet20 --epochs 30 --out cifar
    """
    if not folders:
        raise UsageError("there is nothing to learn from", "give --data FOLDER, a folder with one folder per class")

    from advcli.engine.train import MODEL, Lesson
    from advcli.engine.train import train as run
    from advcli.training.recipes import Recipe

    lesson = Lesson(
        data=tuple(folders),
        arch=arch,
        test=test,
        recipe=Recipe(epochs=epochs),
        mean=parsing.triple(mean, "--mean"),
        std=parsing.triple(std, "--std"),
        seed=seed,
    )
    report = run(
        lesson,
        out,
        device=device,
        overwrite=overwrite,
        command_line=parsing.command_line(),
        each_epoch=_quiet if quiet else _tell,
    )
    if json:
        data().write(report.model_dump_json(indent=2) + "\n")
    else:
        data().write(f"{out / MODEL}\n")


def _tell(epoch: "Epoch", of: int) -> None:
    tested = "" if epoch.test_accuracy is None else f", test {epoch.test_accuracy:.4f}"
    figures = f"loss {epoch.loss:.4f}, train {epoch.train_accuracy:.4f}{tested}"
    print(f"epoch {epoch.epoch} of {of}: {figures}, {epoch.seconds:.0f} s", file=sys.stderr)


def _quiet(_epoch: "Epoch", _of: int) -> None:
    """Say nothing."""
