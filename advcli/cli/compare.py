"""advcli compare: what a classifier looks at before and after an attack."""

from typing import Annotated

import typer

from advcli.cli import method_options as opt
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ImageOptions, ModelOptions, RunOptions
from advcli.cli.parsing import choices, quantities, several
from advcli.cli.running import carry_out
from advcli.core.choices import After, Score
from advcli.registry import parse_methods, quantity


def compare(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    attack: opt.ComparedAttacks = None,
    explain: opt.ComparedAttributions = None,
    eps: opt.Eps = None,
    min_eps: opt.MinEps = None,
    target: opt.Target = None,
    score: opt.Scores = None,
    layer: opt.Layer = None,
    class_: opt.Classes = None,
    after: Annotated[
        After,
        typer.Option(
            metavar="same|own|both",
            help="Explain the same class on the adversarial picture, the one it is taken for, or both.",
        ),
    ] = "same",
    early_exit: opt.EarlyExit = True,
    queries: opt.Queries = None,
    list_: opt.ListMethods = False,
) -> None:
    """Attack IMAGES, and draw what MODEL looks at before and after.

    Examples:
      advcli compare --out demo
      advcli compare photos/ --model resnet18 --attack pgd:steps=20 --score prob
      advcli compare photos/ --eps 1/255,4/255 --score logit,prob --after own
    """
    if list_:
        list_methods("attack", "attribution")
        return
    if layer == "list":
        list_layers(model)
        return
    attacks = parse_methods("attack", attack or ["pgd"], "--attack")
    methods = parse_methods("attribution", explain or ["grad-cam", "integrated-gradients"], "--explain")
    scores = choices(score, "--score", Score) or ("logit",)
    sizes, words = quantities(eps, "--eps"), several(target, "--target")
    classes = several(class_, "--class") or ("predicted",)

    from advcli.engine.compare import CompareCommand
    from advcli.engine.explain import ExplainConfig
    from advcli.search.config import AttackConfig
    from advcli.search.wanted import Wanted

    resolution = None if min_eps is None else quantity(min_eps, "--min-eps")
    wanted = Wanted.of(words)
    threat = AttackConfig(tuple(attacks), sizes, wanted, early_exit=early_exit, queries=queries, min_eps=resolution)
    question = ExplainConfig(tuple(methods), scores, classes, layer)
    carry_out(CompareCommand(images.config(model, run.folder("compare")), threat, question, after), run, model)
