"""advcli noise-search: how often pure noise gets a confident answer."""

from pathlib import Path
from typing import Annotated

import typer

from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.parsing import choices
from advcli.cli.running import carry_out
from advcli.core.choices import NoiseKind

_Attempts = Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000_000, help="Pictures of each kind of noise.")]
_Threshold = Annotated[float, typer.Option(metavar="P", help="Softmax probability from which an answer is a hit.")]
_Noise = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="uniform, gaussian, salt, perlin, shuffled-image or constant; repeat for several.",
        show_default="uniform",
    ),
]
_Optimize = Annotated[
    int, typer.Option(metavar="N", min=0, max=9999, help="Climb from noise to N pictures of every class.")
]
_Keep = Annotated[
    int, typer.Option(metavar="N", min=0, max=500, help="Save the N most confident pictures of every 500.")
]
_Calibrate = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Class folders of pictures; calibrates the probabilities on them too."),
]


def noise_search(
    model: ModelOptions,
    run: RunOptions,
    attempts: _Attempts = 10_000,
    threshold: _Threshold = 0.9,
    noise: _Noise = None,
    optimize: _Optimize = 0,
    keep: _Keep = 4,
    calibrate: _Calibrate = None,
) -> None:
    """Count how often MODEL is sure of pictures of pure noise, and keep those it is surest of.

    Examples:
      advcli noise-search --attempts 10000 --threshold 0.9
      advcli noise-search --model a.safetensors --model b.safetensors --noise perlin
      advcli noise-search --attempts 2000 --optimize 1 --calibrate cifar10/test
    """
    kinds = choices(noise, "--noise", NoiseKind) or ("uniform",)

    from advcli.engine.noise_search import NoiseSearchCommand, NoiseSearchConfig
    from advcli.images.finding import find

    config = NoiseSearchConfig(
        models=model.requests(),
        attempts=attempts,
        threshold=threshold,
        noise=kinds,
        optimize=optimize,
        keep=keep,
        calibrate=tuple(find([str(calibrate)])) if calibrate is not None else (),
    )
    carry_out(NoiseSearchCommand(config), run, model)
