"""The options that commands share, in groups that ``commands.unfolded`` writes into a command's signature.

Imports nothing heavy: ``--help`` pays for it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advcli.cli import parsing
from advcli.cli.help import print_all
from advcli.core.choices import FigureFormat, Precision
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.models.loading import ModelRequest
    from advcli.runs.command import Listener, RunConfig

MODEL = "Model"
RUN = "Run"
OUTPUT = "Output"
LARGEST_BLOCK = 65_536  # rows; more fit into no memory
LARGEST_BATCH = 1_048_576  # rows
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class ModelOptions:
    """Options of every command that shows something to a network; the fields are typer parameters."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            rich_help_panel=MODEL,
            help="Built-in or torchvision name, timm:NAME, weights file, or file.py:function; repeat for several.",
            show_default="what ADVCLI_MODEL says, else cifar10-resnet20",
        ),
    ] = None
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", rich_help_panel=MODEL, help="Architecture of a file of bare weights; or file.py:function."
        ),
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
    precision: Annotated[
        Precision,
        typer.Option(
            metavar="fp32|bf16|fp16", rich_help_panel=MODEL, help="Of the search; claims are checked in fp32."
        ),
    ] = "fp32"
    block: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=LARGEST_BLOCK, rich_help_panel=MODEL, help="Rows the network is shown at least."
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=LARGEST_BATCH, rich_help_panel=MODEL, help="Rows in flight; never changes a result."
        ),
    ] = None

    def requests(self, *more: str) -> "tuple[ModelRequest, ...]":
        """Ask for each model, with the options that are meant for it; see ``models.loading.requests_for``.

        Args:
            more: models that are named by other options; they stand behind those of ``--model``.

        Raises:
            UsageError: a text has no meaning, or no model takes an option.
        """
        from advcli.models.loading import ModelRequest, requests_for
        from advcli.models.zoo import DEFAULT

        options = ModelRequest(
            arch=self.arch,
            weights=self.weights,
            classes=parsing.absolute(self.classes) if self.classes else None,
            mean=parsing.triple(self.mean, "--mean"),
            std=parsing.triple(self.std, "--std"),
            size=self.size,
            trust=self.trust_model,
        )
        # Read here and not by typer, which would split the variable at its blanks.
        named = self.model or [os.environ.get("ADVCLI_MODEL") or DEFAULT]
        return requests_for([*named, *more], options)


@dataclass(frozen=True)
class RunOptions:
    """Options of every command that leaves a run behind; the fields are typer parameters."""

    seed: Annotated[
        int, typer.Option(metavar="N", min=0, max=LARGEST_SEED, rich_help_panel=RUN, help="Of all randomness.")
    ] = 0
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda[:N]|mps", rich_help_panel=RUN, help="Where to compute.")
    ] = "auto"
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
    json: Annotated[bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the report as JSON.")] = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=OUTPUT, help="Print each record as a line of JSON.")
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            rich_help_panel=OUTPUT,
            help="Print the paths of the pictures only; -q=KIND: of one kind, such as -q=adversarial.",
        ),
    ] = False
    only: Annotated[list[str] | None, typer.Option("--quiet-kind", hidden=True)] = None  # what -q=KIND stands for
    figure_format: Annotated[
        FigureFormat,
        typer.Option(metavar="svg|png|pdf", rich_help_panel=OUTPUT, help="Of the charts; pictures are always PNG."),
    ] = "svg"
    dpi: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=30, max=1200, rich_help_panel=OUTPUT, help="Of charts that are PNG.", show_default="200"
        ),
    ] = None
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
    help_all: Annotated[
        bool,
        typer.Option(
            "--help-all",
            rich_help_panel=OUTPUT,
            is_eager=True,
            callback=print_all,
            help="Show every option and stop.",
        ),
    ] = False

    def folder(self, command: str) -> Path:
        """Name the folder of the run as it is shown to people: as typed, else after the command."""
        out = self.out if self.out is not None else Path(f"advcli-{command}")
        return parsing.absolute(out) if str(out).startswith("~") else out

    def config(self, command: str, listener: "Listener", model: ModelOptions | None = None) -> "RunConfig":
        """Turn texts into what the life of a run takes.

        Args:
            command: name of the subcommand.
            listener: hears how the run goes.
            model: options of the networks; none for a command without.

        Raises:
            UsageError: options that exclude one another.
        """
        from advcli.runs.command import RunConfig

        model = model or ModelOptions()
        return RunConfig(
            out=parsing.absolute(self.folder(command)),
            device=self.device,
            precision=model.precision,
            block=model.block,
            batch_size=model.batch_size,
            seed=self.seed,
            overwrite=self.overwrite,
            command_line=parsing.command_line(),
            listener=listener,
            figure_format=self.figure_format,
            dpi=self.dpi,
        )

    def refuse_contradictions(self) -> None:
        """Refuse two forms of output at once, dots per inch of charts without dots, and kinds without meaning.

        Raises:
            UsageError: options exclude one another, or a kind of pictures is empty or given twice.
        """
        parsing.several(self.only, "-q")
        if self.dpi is not None and self.figure_format != "png":
            raise UsageError(f"--dpi {self.dpi} is of no use to {self.figure_format}", "add --figure-format png")
        if sum((self.json, self.jsonl, self.quiet)) > 1:
            raise UsageError("--json, --jsonl and --quiet exclude one another", "choose one")
