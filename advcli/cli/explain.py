"""advcli explain: what a classifier looks at, by any number of methods."""

from advcli.cli import method_options as opt
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ImageOptions, ModelOptions, RunOptions
from advcli.cli.parsing import choices, several
from advcli.cli.running import carry_out
from advcli.core.choices import Score
from advcli.registry import parse_methods


def explain(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    method: opt.Attributions = None,
    score: opt.Scores = None,
    layer: opt.Layer = None,
    class_: opt.Classes = None,
    npy: opt.Arrays = False,
    list_: opt.ListMethods = False,
) -> None:
    """Draw what MODEL looks at in IMAGES, by one method or several side by side.

    Examples:
      advcli explain photos/ --model resnet18 --method grad-cam
      advcli explain photos/ --method gradient --method integrated-gradients:steps=9
      advcli explain photos/ --score logit,prob --class predicted --class label
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

    from advcli.engine.explain import ExplainCommand, ExplainConfig

    config = ExplainConfig(tuple(methods), scores, classes, layer, arrays=npy)
    carry_out(ExplainCommand(images.config(model, run.folder("explain")), config), run, model)
