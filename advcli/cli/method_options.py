"""The options that choose methods and what they are about, each written once for the commands that have it."""

from typing import Annotated, Any, Literal

import typer

from advcli import registry
from advcli.core.choices import After, Detection, EpsSpace, Protocol

_STUDY = "Study"  # title of the options that turn compare into an experiment of its own


def _methods(option: str, kind: registry.Kind, what: str, default: str) -> Any:
    """Describe an option that takes methods with their settings, completed from the names of the files."""

    def completed() -> list[str]:
        return registry.names(kind)

    return typer.Option(
        option,
        metavar="NAME[:KEY=VALUE,...]",
        help=f"{what}, with its settings; repeat for several. See --list.",
        show_default=default,
        autocompletion=completed,
    )


Attacks = Annotated[list[str] | None, _methods("--method", "attack", "Attack", "pgd")]
Attributions = Annotated[list[str] | None, _methods("--method", "attribution", "Explanation", "grad-cam")]
ComparedAttacks = Annotated[list[str] | None, _methods("--attack", "attack", "Attack", "pgd")]
ComparedAttributions = Annotated[
    list[str] | None,
    _methods("--explain", "attribution", "Explanation", "grad-cam, integrated-gradients"),
]
RankingAttributions = Annotated[
    list[str] | None,
    _methods("--explain", "attribution", "Explanation that ranks the pixels", "gradient:reduce=max"),
]
Eps = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SIZE[,SIZE...]",
        help="Radius of the ball in pixel units ([0, 1]): 8/255 or 0.03; several for a curve.",
        show_default="of the norm; linf: 8/255",
    ),
]
MinEps = Annotated[
    str | None,
    typer.Option(metavar="RESOLUTION", help="Find each image's smallest eps, to this resolution, by bisection."),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="none|second|least|random|rank:K|all|CLASS|FILE.csv",
        help="Class to reach; none: any but the label; a CSV file: path,class. Repeat for several.",
        show_default="none; second for attacks that need a target",
    ),
]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Short for the attacks' setting steps.")]
StepSize = Annotated[str | None, typer.Option(metavar="SIZE", help="Short for the attacks' setting step_size.")]
EarlyExit = Annotated[
    bool, typer.Option("--early-exit/--no-early-exit", help="Let an image go at its first success, or make all steps.")
]
Diagnose = Annotated[
    bool, typer.Option("--diagnose", help="Look for signs that images withstand because the attack is weak.")
]
Surrogate = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="Network that the attack transfer sees; success is judged on --model."),
]
Space = Annotated[
    EpsSpace,
    typer.Option(metavar="pixel|normalized", help="What --eps is measured in: pixels, or the std of each channel."),
]
KeepSize = Annotated[
    bool, typer.Option("--keep-size", help="Attack photographs in their own size, through the resize and crop.")
]
TimeBudget = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Begin no image after so long; the same command again goes on.",
        show_default="no bound",
    ),
]
Queries = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=2**31, help="Forward and backward passes an image may cost.", show_default="no bound"
    ),
]
Scores = Annotated[
    list[str] | None,
    typer.Option(
        "--score",
        metavar="logit|prob|logprob|loss[,...]",
        help="What is differentiated; several are compared.",
        show_default="logit",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[,NAME...]",
        help="Layer to watch, for methods that watch one; 'list' shows them. Of several ('layer3.*'), the mean.",
        show_default="the deepest with a map",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="predicted|label|second|CLASS|A,B:difference",
        help="The class whose score is explained, or why A and not B; repeat for several.",
        show_default="predicted",
    ),
]
AfterClass = Annotated[
    After,
    typer.Option(
        metavar="same|own|both",
        help="Explain the same class on the adversarial picture, the one it is taken for, or both.",
    ),
]
Detect = Annotated[
    Detection | None,
    typer.Option(
        metavar="[plain|adaptive]",
        rich_help_panel=_STUDY,
        help="Ask whether the maps give the attack away, without the clean image; adaptive: attack the detector too.",
        show_default="no question; alone: plain",
    ),
]
Probes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="blur|jpeg|bit-depth|noise[,...]",
        rich_help_panel=_STUDY,
        help="Slight change under which --detect compares the maps of one picture.",
        show_default="blur",
    ),
]
Repeated = Annotated[
    Protocol | None,
    typer.Option(
        metavar="seed-003",
        rich_help_panel=_STUDY,
        help="Repeat a design: FGSM at five normalized eps; SmoothGrad, Grad-CAM, guided backprop.",
    ),
]
Ensemble = Annotated[
    Literal["mean"] | None,
    typer.Option(metavar="mean", help="Average the maps of all methods too, each scaled to at most 1."),
]
Arrays = Annotated[bool, typer.Option("--npy", help="Keep the signed float32 maps too, as .npy.")]
ListMethods = Annotated[
    bool, typer.Option("--list", help="Print the methods with their settings, units, defaults and sources, and stop.")
]
