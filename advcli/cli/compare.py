"""advcli compare: what a classifier looks at before and after an attack."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from advcli.cli import method_options as opt
from advcli.cli.image_options import ImageOptions
from advcli.cli.listing import list_layers, list_methods
from advcli.cli.options import ModelOptions, RunOptions
from advcli.cli.parsing import choices, several
from advcli.cli.running import carry_out
from advcli.cli.threat_options import ThreatOptions
from advcli.core.choices import Probe, Protocol, Score
from advcli.errors import UsageError
from advcli.registry import Method, parse_methods

if TYPE_CHECKING:
    from advcli.engine._protocols import Design

ATTACKS = ("pgd",)
EXPLANATIONS = ("grad-cam", "integrated-gradients")


def compare(
    images: ImageOptions,
    model: ModelOptions,
    run: RunOptions,
    *,
    attack: opt.ComparedAttacks = None,
    explain: opt.ComparedAttributions = None,
    threat: ThreatOptions,
    score: opt.Scores = None,
    layer: opt.Layer = None,
    class_: opt.Classes = None,
    after: opt.AfterClass = "same",
    detect: opt.Detect = None,
    probe: opt.Probes = None,
    protocol: opt.Repeated = None,
    list_: opt.ListMethods = False,
) -> None:
    """Attack IMAGES, and draw and measure what MODEL looks at before and after.

    Examples:
      advcli compare --out demo
      advcli compare photos/ --eps 1/255,4/255 --score logit,prob --after both
      advcli compare photos/ --explain grad-cam --detect adaptive --probe blur,jpeg
    """
    if list_:
        list_methods("attack", "attribution")
        return
    if layer == "list":
        list_layers(model)
        return
    if protocol is not None:
        design = _design(protocol, attack, explain, threat)
        attack, explain = list(design.attack), list(design.explain)
        threat = replace(threat, eps=design.radii(targeted=threat.targeted), eps_space=design.eps_space)
    if probe and detect is None:
        raise UsageError("--probe is of no use without --detect", "add --detect")
    attacks = _attacks(attack or ATTACKS)
    methods = parse_methods("attribution", explain or EXPLANATIONS, "--explain")
    scores = choices(score, "--score", Score) or ("logit",)
    probes = choices(probe, "--probe", Probe) or (("blur",) if detect is not None else ())
    classes = several(class_, "--class") or ("predicted",)

    from advcli.engine.compare import CompareCommand
    from advcli.engine.explain import ExplainConfig

    attempted = threat.config(attacks)
    question = ExplainConfig(tuple(methods), scores, classes, layer)
    listed = images.config(model, run.folder("compare"))
    carry_out(CompareCommand(listed, attempted, question, after, probes, protocol, detect or "plain"), run, model)


def _attacks(texts: Sequence[str]) -> list[Method]:
    methods = parse_methods("attack", texts, "--attack")
    if any(method.name == "transfer" for method in methods):
        raise UsageError("compare has no --surrogate, which transfer needs", "use another --attack")
    return methods


def _design(protocol: Protocol, attack: list[str] | None, explain: list[str] | None, threat: ThreatOptions) -> "Design":
    """Take the design of a protocol, and refuse options that it sets itself."""
    from advcli.engine._protocols import design_of

    typed = {"--attack": attack, "--explain": explain, "--eps": threat.eps, "--min-eps": threat.min_eps}
    return design_of(protocol, {**typed, "--eps-space": threat.eps_space != "pixel"})
