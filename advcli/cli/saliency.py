"""advcli saliency: where a small change would matter most."""

from typing import Annotated

import typer

from advcli.cli import method_options as opt
from advcli.cli.image_options import ImageOptions
from advcli.cli.listing import list_method
from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.parsing import choices, several
from advcli.cli.running import carry_out
from advcli.core.choices import Reduction, Score

_Reduce = Annotated[Reduction, typer.Option(metavar="max|sum|l2", help="How three channels become one map.")]
_Smooth = Annotated[
    int | None, typer.Option(metavar="N", help="Average over N noisy versions (SmoothGrad).", show_default=False)
]


def saliency(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    score: opt.Scores = None,
    reduce: _Reduce = "max",
    smooth: _Smooth = None,
    class_: opt.Classes = None,
    npy: opt.Arrays = False,
    list_: opt.ListMethods = False,
) -> None:
    """Draw what MODEL looks at in IMAGES: the size of the gradient, beside the original.

    Examples:
      advcli saliency photos/fox.jpg --model resnet18
      advcli saliency photos/ --model resnet18 --score logprob --reduce l2
      advcli saliency photos/ --smooth 25 --class label --npy --out maps
    """
    if list_:
        list_method("attribution", "gradient")
        return
    scores = choices(score, "--score", Score) or ("logit",)
    classes = several(class_, "--class") or ("predicted",)

    from advcli.engine.saliency import SaliencyCommand, saliency_config

    config = saliency_config(scores, reduce, classes, smooth=smooth, arrays=npy)
    carry_out(SaliencyCommand(images.config(model, run.folder("saliency")), config), run, model)
