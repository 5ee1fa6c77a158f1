"""advcli compare: what a classifier looks at before and after it is fooled."""

from typing import Annotated

import typer

from advcli.cli import options as opt
from advcli.cli import parsing
from advcli.cli.commands import image_command
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.running import carry_out
from advcli.registry import parse_methods


@image_command
def compare(
    common: opt.Common,
    attack: opt.ComparedAttacks = None,
    explain: opt.ComparedAttributions = None,
    eps: opt.Eps = None,
    target: opt.Target = "",
    score: opt.Score = "logit",
    layer: opt.Layer = None,
    class_: opt.Explained = "predicted",
    after: Annotated[
        str,
        typer.Option(
            metavar="same|own", help="Explain the same class on the adversarial picture, or the one it is taken for."
        ),
    ] = "same",
    early_exit: opt.EarlyExit = True,
    list_: opt.ListMethods = False,
) -> None:
    """Fool MODEL with IMAGES, and draw what it looks at before and after.

    Example: advcli compare photos/ --attack pgd:steps=20 --explain grad-cam --explain integrated-gradients:steps=50
    """
    if list_:
        list_methods("attack", "attribution")
        return
    if layer == "list":
        list_layers(common)
        return
    attacks = parse_methods("attack", attack or ["pgd"], "--attack")
    explanations = parse_methods("attribution", explain or ["grad-cam", "integrated-gradients"], "--explain")
    parsing.choice(score, "--score", opt.SCORES)
    parsing.choice(after, "--after", ("same", "own"))
    size = parsing.size_in_pixels(eps, "--eps")

    from advcli.engine.attributing import Question
    from advcli.engine.compare import compare as run
    from advcli.engine.compare import compare_command
    from advcli.engine.threat import threat

    wanted = threat(attacks, size, target, early_exit=early_exit)
    question = Question(tuple(explanations), score, layer, class_)  # type: ignore[arg-type]
    carry_out(
        "compare",
        common,
        lambda setup: compare_command(setup, wanted, question, after=after),  # type: ignore[arg-type]
        lambda setup: run(setup, wanted, question, after=after),  # type: ignore[arg-type]
    )
