"""The options that commands share. Imports nothing heavy: ``--help`` pays for it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advcli import registry
from advcli.cli import parsing
from advcli.errors import NoInputError, UsageError

if TYPE_CHECKING:
    from advcli.engine.setup import Listener, Setup
    from advcli.images.sources import Source
    from advcli.models.loading import ModelRequest

MODEL = "Model"
RUN = "Run"
OUTPUT = "Output"


SCORES = ("logit", "prob", "logprob", "loss")


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
    _methods("--explain", "attribution", "Explanation", "grad-cam and integrated-gradients"),
]
Eps = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE", help="Radius of the ball in pixel units, [0, 1]: 8/255 or 0.03.", show_default="8/255"
    ),
]
Target = Annotated[
    str,
    typer.Option(
        metavar="none|second|least|random|CLASS",
        help="Class to reach; none: any but the label.",
        show_default="none; second for attacks that need a target",
    ),
]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Short for the attack's setting steps.")]
StepSize = Annotated[str | None, typer.Option(metavar="SIZE", help="Short for the attack's setting step_size.")]
EarlyExit = Annotated[
    bool, typer.Option("--early-exit/--no-early-exit", help="Let an image go at its first success, or make all steps.")
]
Score = Annotated[str, typer.Option(metavar="logit|prob|logprob|loss", help="What is differentiated.")]
Layer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Layer to watch, for methods that watch one; 'list' shows the candidates.",
        show_default="the deepest with a map",
    ),
]
Explained = Annotated[
    str, typer.Option("--class", metavar="predicted|label|CLASS", help="The class whose score is explained.")
]
Arrays = Annotated[bool, typer.Option("--npy", help="Keep the signed float32 maps too, as .npy.")]
ListMethods = Annotated[
    bool, typer.Option("--list", help="Print the methods with their settings, units, defaults and sources, and stop.")
]


@dataclass(frozen=True)
class Common:
    """Options of every command over images; the fields are typer parameters."""

    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Files, folders, quoted globs, or - for paths or records on standard input.",
            show_default="built-in samples",
        ),
    ] = None
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            envvar="ADVCLI_MODEL",
            rich_help_panel=MODEL,
            help="Built-in or torchvision name, timm:NAME, weights file, or file.py:function.",
        ),
    ] = "cifar10-resnet20"
    arch: Annotated[
        str | None, typer.Option(metavar="NAME", rich_help_panel=MODEL, help="Architecture of a file of bare weights.")
    ] = None
    weights: Annotated[
        str | None,
        typer.Option(metavar="NAME", rich_help_panel=MODEL, help="Weights of a torchvision model; none: random."),
    ] = None
    classes: Annotated[
        Path | None, typer.Option(metavar="FILE", rich_help_panel=MODEL, help="Class names, .txt or .json.")
    ] = None
    mean: Annotated[
        str | None, typer.Option(metavar="R,G,B", rich_help_panel=MODEL, help="Normalization: mean of [0, 1] pixels.")
    ] = None
    std: Annotated[
        str | None, typer.Option(metavar="R,G,B", rich_help_panel=MODEL, help="Normalization: standard deviation.")
    ] = None
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=1, rich_help_panel=MODEL, help="Side of the input.")
    ] = None
    trust_model: Annotated[
        bool,
        typer.Option("--trust-model", rich_help_panel=MODEL, help="Load files that can run code. Only your own!"),
    ] = False
    labels: Annotated[
        str,
        typer.Option(
            metavar="auto|folder|predicted|FILE.csv", rich_help_panel=RUN, help="What images are held against."
        ),
    ] = "auto"
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, rich_help_panel=RUN, help="Take N images only.")] = (
        None
    )
    null: Annotated[
        bool, typer.Option("--null", "-0", rich_help_panel=RUN, help="Paths on standard input end with NUL.")
    ] = False
    seed: Annotated[int, typer.Option(metavar="N", rich_help_panel=RUN, help="Of all randomness.")] = 0
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", rich_help_panel=RUN, help="Where to compute.")
    ] = "auto"
    precision: Annotated[
        str,
        typer.Option(metavar="fp32|bf16|fp16", rich_help_panel=RUN, help="Of the search; claims are checked in fp32."),
    ] = "fp32"
    batch_size: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, rich_help_panel=RUN, help="Images in flight; never changes a result."),
    ] = None
    block: Annotated[
        int | None, typer.Option(metavar="N", min=1, rich_help_panel=RUN, help="Rows the network is shown at least.")
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=RUN, help="Say what would be done, and stop.")
    ] = False
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            rich_help_panel=OUTPUT,
            help="Folder of the run.",
            show_default="advcli-COMMAND",
        ),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", rich_help_panel=OUTPUT, help="Throw away another run in the folder.")
    ] = False
    panels: Annotated[
        bool, typer.Option("--panels/--no-panels", rich_help_panel=OUTPUT, help="Draw a panel for every image.")
    ] = True
    json: Annotated[bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the report as JSON.")] = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=OUTPUT, help="Print each record as a line of JSON.")
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="Print the paths of the results only.")
    ] = False
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=X", rich_help_panel=OUTPUT, help="Exit with 1 if a figure of the summary is below X."
        ),
    ] = None
    fail_over: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=X", rich_help_panel=OUTPUT, help="Exit with 1 if a figure of the summary is above X."
        ),
    ] = None

    def request(self) -> "ModelRequest":
        """Put the options of the model together.

        Raises:
            UsageError: a text has no meaning.
        """
        from advcli.models.loading import ModelRequest

        return ModelRequest(
            name=self.model,
            arch=self.arch,
            weights=self.weights,
            classes=self.classes,
            mean=parsing.triple(self.mean, "--mean"),
            std=parsing.triple(self.std, "--std"),
            size=self.size,
            trust=self.trust_model,
        )

    def setup(self, command: str, listener: "Listener") -> "Setup":
        """Turn texts into what the engine takes.

        Raises:
            UsageError: a text has no meaning.
            NoInputError: no image matched.
        """
        from advcli.engine.setup import Setup
        from advcli.images.finding import find
        from advcli.images.labels import parse_labels

        if self.precision not in ("fp32", "bf16", "fp16"):
            raise UsageError(f"--precision {self.precision!r} is not known", "use fp32, bf16 or fp16")
        if sum((self.json, self.jsonl, self.quiet)) > 1:
            raise UsageError("--json, --jsonl and --quiet exclude one another", "choose one")
        out = self.out or Path(f"advcli-{command}")
        sources = find(self.images or [], stdin=sys.stdin.buffer if sys.stdin else None, null_separated=self.null)
        return Setup(
            sources=_outside(sources, out)[: self.limit],
            out=out,
            model=self.request(),
            labels=parse_labels(self.labels),
            device=self.device,
            precision=self.precision,  # type: ignore[arg-type]
            block=self.block,
            batch_size=self.batch_size,
            seed=self.seed,
            overwrite=self.overwrite,
            panels=self.panels,
            command_line=parsing.command_line(),
            listener=listener,
        )


def _outside(sources: "Sequence[Source]", out: Path) -> "list[Source]":
    """Leave out what an earlier call wrote: a folder of results inside the folder of images is no input."""
    inside = str(out.resolve()) + "/"
    found = [source for source in sources if not str(source.location.absolute()).startswith(inside)]
    if not found:
        raise NoInputError(f"all images lie in {out}, where the results go", "give another --out")
    return found
