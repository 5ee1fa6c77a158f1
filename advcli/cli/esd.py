"""advcli esd: spectra, weights and biases of a model, of a training, or of two models side by side."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advcli.cli.options import RunOptions
from advcli.cli.running import carry_out
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.engine.esd import EsdCommand

_PAUSE = 5.0  # seconds between two looks at a training

_Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="A model, a weights file, or a folder of checkpoints; two to compare them.",
        show_default="what ADVCLI_MODEL says, else cifar10-resnet20",
    ),
]
_Weights = Annotated[str | None, typer.Option(metavar="NAME", help="Weights of a torchvision model; none: random.")]
_TrustModel = Annotated[bool, typer.Option("--trust-model", help="Load files that can run code. Only your own!")]
_Traps = Annotated[bool, typer.Option("--traps", help="Look for correlation traps; takes 15 times as long.")]
_Jobs = Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Checkpoints analyzed at once.")]
_Film = Annotated[
    list[str] | None,
    typer.Option(
        metavar="webp|gif|apng|mp4|none",
        help="Of the films of a training's course; repeat for more.",
        show_default="webp",
    ),
]
_Pictures = Annotated[
    bool | None,
    typer.Option("--pictures/--no-pictures", help="Draw every layer.", show_default="where there are few"),
]
_Watch = Annotated[bool, typer.Option("--watch", help="Follow a training that is under way, until it is finished.")]


def esd(
    run: RunOptions,
    models: _Models = None,
    weights: _Weights = None,
    trust_model: _TrustModel = False,
    traps: _Traps = False,
    jobs: _Jobs = 1,
    film: _Film = None,
    pictures: _Pictures = None,
    watch: _Watch = False,
) -> None:
    """Analyze the spectra of MODEL's weights, or how they change over a training.

    Examples:
      advcli esd resnet18
      advcli esd runs/mine --jobs 2 --film gif
      advcli esd plain.safetensors normalized.safetensors
    """
    from advcli.engine.esd import EsdCommand, EsdConfig
    from advcli.models.zoo import DEFAULT

    names = tuple(models or [os.environ.get("ADVCLI_MODEL") or DEFAULT])
    films = tuple(dict.fromkeys(film)) if film else ("webp",)
    if "none" in films and len(films) > 1:
        raise UsageError("--film none excludes other formats", "leave one out")
    config = EsdConfig(
        names,
        weights=weights,
        trust=trust_model,
        traps=traps,
        jobs=jobs,
        films=() if films == ("none",) else films,
        pictures=pictures,
    )
    command = EsdCommand(config)
    if watch:
        if len(names) != 1 or not Path(names[0]).expanduser().is_dir():
            raise UsageError("--watch follows the folder of one training", "give that folder alone")
        run = _followed(Path(names[0]).expanduser(), command, run)
    carry_out(command, run)


def _followed(folder: Path, command: "EsdCommand", run: RunOptions) -> RunOptions:
    """Analyze each new checkpoint as it comes, until the training is finished; return the options for the last call."""
    from advcli.cli.progress import Progress
    from advcli.engine.esd import training_finished
    from advcli.errors import NoInputError
    from advcli.runs.life import run as live

    run.refuse_contradictions()
    seen: object = None
    while not run.dry_run and not training_finished(folder):
        now = sorted(path.name for path in folder.rglob("*") if path.is_file())
        if now != seen:
            with Progress(quiet=True, jsonl=False, out=str(run.folder(command.name))) as progress:
                try:
                    live(run.config(command.name, progress), command)
                    run = replace(run, overwrite=False)  # from here on it is this run that goes on
                except NoInputError:
                    print("no checkpoint yet", file=sys.stderr)
            seen = now
        time.sleep(_PAUSE)
    return run
