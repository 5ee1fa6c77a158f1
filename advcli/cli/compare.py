"""advcli compare: what a classifier looks at before and after an attack."""

from typing import TYPE_CHECKING

from advcli.cli import method_options as opt
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ImageOptions, ModelOptions, RunOptions
from advcli.cli.parsing import choices, quantities, several
from advcli.cli.running import carry_out
from advcli.core.choices import EpsSpace, Probe, Protocol, Score
from advcli.errors import UsageError
from advcli.registry import parse_methods, quantity

if TYPE_CHECKING:
    from advcli.engine._protocols import Design


def compare(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    attack: opt.ComparedAttacks = None,
    explain: opt.ComparedAttributions = None,
    eps: opt.Eps = None,
    min_eps: opt.MinEps = None,
    eps_space: opt.Space = "pixel",
    target: opt.Target = None,
    score: opt.Scores = None,
    layer: opt.Layer = None,
    class_: opt.Classes = None,
    after: opt.AfterClass = "same",
    detect: opt.Detect = None,
    probe: opt.Probes = None,
    protocol: opt.Repeated = None,
    early_exit: opt.EarlyExit = True,
    queries: opt.Queries = None,
    list_: opt.ListMethods = False,
) -> None:
    """Attack IMAGES, and draw and measure what MODEL looks at before and after.

    Examples:
      advcli compare --out demo
      advcli compare photos/ --eps 1/255,4/255 --score logit,prob --after both
      advcli compare photos/ --protocol seed-003 --detect --probe blur,jpeg
      advcli compare photos/ --explain grad-cam --detect adaptive
    """
    if list_:
        list_methods("attack", "attribution")
        return
    if layer == "list":
        list_layers(model)
        return
    words = several(target, "--target")
    if protocol is not None:
        design = _design(
            protocol, {"--attack": attack, "--explain": explain, "--eps": eps, "--min-eps": min_eps}, eps_space
        )
        attack, explain, eps_space = list(design.attack), list(design.explain), design.eps_space
        eps = design.radii(targeted=any(word != "none" for word in words))
    if probe and detect is None:
        raise UsageError("--probe is of no use without --detect", "add --detect")
    attacks = parse_methods("attack", attack or ["pgd"], "--attack")
    methods = parse_methods("attribution", explain or ["grad-cam", "integrated-gradients"], "--explain")
    if any(method.name == "transfer" for method in attacks):
        raise UsageError("compare has no --surrogate, which transfer needs", "use another --attack")
    scores = choices(score, "--score", Score) or ("logit",)
    sizes = quantities(eps, "--eps")
    probes = choices(probe, "--probe", Probe) or (("blur",) if detect is not None else ())
    classes = several(class_, "--class") or ("predicted",)

    from advcli.engine.compare import CompareCommand
    from advcli.engine.explain import ExplainConfig
    from advcli.search.config import AttackConfig
    from advcli.search.wanted import Wanted

    resolution = None if min_eps is None else quantity(min_eps, "--min-eps")
    wanted = Wanted.of(words)
    threat = AttackConfig(
        tuple(attacks),
        sizes,
        wanted,
        early_exit=early_exit,
        queries=queries,
        min_eps=resolution,
        eps_space=eps_space,
    )
    question = ExplainConfig(tuple(methods), scores, classes, layer)
    listed = images.config(model, run.folder("compare"))
    carry_out(CompareCommand(listed, threat, question, after, probes, protocol, detect or "plain"), run, model)


def _design(protocol: Protocol, typed: dict[str, object], eps_space: EpsSpace) -> "Design":
    """Take the design of a protocol, and refuse options that it sets itself."""
    from advcli.engine._protocols import design_of

    return design_of(protocol, {**typed, "--eps-space": eps_space != "pixel"})
