"""advcli mask: what a classifier still says of the most important part of a picture."""

from typing import Annotated

import typer

from advcli.cli import method_options as opt
from advcli.cli.image_options import ImageOptions
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.parsing import choices, quantities
from advcli.cli.running import carry_out
from advcli.core.choices import Fill, Order, Score
from advcli.registry import parse_methods

_SHARES = "SHARE[,SHARE...]"

_Keep = Annotated[
    list[str] | None,
    typer.Option(
        metavar=_SHARES,
        help="Shares of the pixels, in (0, 1), that are kept; the others are replaced.",
        show_default="0.05,0.1,0.25,0.5,0.75 without --remove",
    ),
]
_Remove = Annotated[
    list[str] | None,
    typer.Option(metavar=_SHARES, help="The reverse: shares that are replaced, the most important first."),
]
_Order = Annotated[
    list[str] | None,
    typer.Option(metavar="map|random", help="Order of the pixels; random is the control.", show_default="map, random"),
]
_Fill = Annotated[
    list[str] | None,
    typer.Option(
        metavar="zero|gaussian|mean|blur|uniform[,...]",
        help="What replaces pixels: black, noise like the picture, its mean color, it blurred, or any value.",
        show_default="zero",
    ),
]
_Absolute = Annotated[bool, typer.Option("--absolute", help="Rank by the size of the evidence, for and against alike.")]
_Score = Annotated[Score, typer.Option(metavar="logit|prob|logprob|loss", help="What is explained.")]
_Class = Annotated[
    str, typer.Option("--class", metavar="predicted|label|second|CLASS", help="The class that is explained.")
]


def mask(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    explain: opt.RankingAttributions = None,
    keep: _Keep = None,
    remove: _Remove = None,
    order: _Order = None,
    fill: _Fill = None,
    absolute: _Absolute = False,
    score: _Score = "logit",
    class_: _Class = "predicted",
    layer: opt.Layer = None,
    list_: opt.ListMethods = False,
) -> None:
    """Show MODEL only the most important pixels of IMAGES, or all but these, and ask again.

    Examples:
      advcli mask photos/ --model resnet18 --fill gaussian
      advcli mask photos/ --explain grad-cam --explain smoothgrad --keep 0.1,0.5
      advcli mask photos/ --remove 0.05,0.1,0.25 --order map --fill blur --panels
    """
    if list_:
        list_methods("attribution")
        return
    if layer == "list":
        list_layers(model)
        return
    methods = parse_methods("attribution", explain or ["gradient:reduce=max"], "--explain")
    orders = choices(order, "--order", Order) or ("map", "random")
    fills = choices(fill, "--fill", Fill) or ("zero",)
    shares = {
        name: tuple(one.value for one in quantities(texts, f"--{name}"))
        for name, texts in (("keep", keep), ("remove", remove))
        if texts
    }

    from advcli.engine._explaining import ExplainConfig
    from advcli.engine.mask import MaskCommand, MaskConfig

    explained = ExplainConfig(tuple(methods), (score,), (class_,), layer)
    if "remove" in shares and "keep" not in shares:
        shares["keep"] = ()
    config = MaskConfig(explained, orders, fills, absolute=absolute, **shares)
    carry_out(MaskCommand(images.config(model, run.folder("mask")), config), run, model)
