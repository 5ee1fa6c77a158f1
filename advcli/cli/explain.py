"""advcli explain: what a classifier looks at, by any number of methods."""

from advcli.cli import options as opt
from advcli.cli import parsing
from advcli.cli.commands import image_command
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.running import carry_out
from advcli.registry import parse_methods


@image_command
def explain(
    common: opt.Common,
    method: opt.Attributions = None,
    score: opt.Score = "logit",
    layer: opt.Layer = None,
    class_: opt.Explained = "predicted",
    npy: opt.Arrays = False,
    list_: opt.ListMethods = False,
) -> None:
    """Draw what MODEL looks at in IMAGES, by one method or several side by side.

    Example: advcli explain photos/ --model resnet18 --method grad-cam --method integrated-gradients:steps=100
    """
    if list_:
        list_methods("attribution")
        return
    if layer == "list":
        list_layers(common)
        return
    methods = parse_methods("attribution", method or ["grad-cam"], "--method")
    parsing.choice(score, "--score", opt.SCORES)

    from advcli.engine.attributing import Question
    from advcli.engine.explain import explain as run
    from advcli.engine.explain import explain_command

    question = Question(tuple(methods), score, layer, class_)  # type: ignore[arg-type]
    carry_out(
        "explain",
        common,
        lambda setup: explain_command(setup, question, arrays=npy),
        lambda setup: run(setup, question, arrays=npy),
    )
