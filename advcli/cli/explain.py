"""advcli explain: what a classifier looks at, by any number of methods."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from advcli.cli import method_options as opt
from advcli.cli.image_options import ImageOptions
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.parsing import choices, quantities, scales, several
from advcli.cli.running import carry_out
from advcli.core.choices import Scale, Score
from advcli.registry import parse_methods

_Grade = Annotated[
    bool, typer.Option("--grade", help="Measure how good each method's maps are; takes many more passes.")
]
_Boxes = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Where the objects are, for --grade: path,left,top,right,bottom."),
]
_Top = Annotated[str | None, typer.Option(metavar="SHARE", help="Outline the most important share of the pixels: 0.1.")]


def explain(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    method: opt.Attributions = None,
    score: opt.Scores = None,
    layer: opt.Layer = None,
    class_: opt.Classes = None,
    ensemble: opt.Ensemble = None,
    grade: _Grade = False,
    boxes: _Boxes = None,
    top: _Top = None,
    npy: opt.Arrays = False,
    list_: opt.ListMethods = False,
) -> None:
    """Draw what MODEL looks at in IMAGES, by one method or several side by side.

    Examples:
      advcli explain photos/ --model resnet18 --method grad-cam
      advcli explain photos/ --method gradient --method integrated-gradients:steps=9
      advcli explain photos/ --method grad-cam --method smoothgrad --grade
    """
    if list_:
        list_methods("attribution")
        return
    if layer == "list":
        list_layers(model)
        return
    methods = parse_methods("attribution", method or ["grad-cam"], "--method")
    scores = choices(score, "--score", Score) or ("logit",)
    classes = several(class_, "--class") or ("predicted",)

    words = get_args(Scale)  # "run" colors all maps of a case on one scale
    _, colors = scales(images.scale, words)
    shares = quantities([top] if top is not None else None, "--top")

    from advcli.engine.explain import ExplainCommand, ExplainConfig
    from advcli.images.boxes import read_boxes

    config = ExplainConfig(
        tuple(methods),
        scores,
        classes,
        layer,
        arrays=npy,
        ensemble=ensemble == "mean",
        top=shares[0].value if shares else None,
        scale=cast("Scale", colors or "image"),
        grade=grade,
        boxes=None if boxes is None else read_boxes(boxes),
    )
    carry_out(ExplainCommand(images.config(model, run.folder("explain"), words), config), run, model)
