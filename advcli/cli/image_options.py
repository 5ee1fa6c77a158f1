"""The options of every command over images: which images, what they are held against, and what is drawn of each.

Imports nothing heavy: ``--help`` pays for it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advcli.cli import parsing
from advcli.cli.options import ModelOptions

if TYPE_CHECKING:
    from advcli.runs.images import ImageConfig

IMAGES = "Images"


@dataclass(frozen=True)
class ImageOptions:
    """Options of every command over images; the fields are typer parameters."""

    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Files, folders, quoted globs, or - for paths or records on standard input.",
            show_default="built-in samples",
        ),
    ] = None
    labels: Annotated[
        str,
        typer.Option(
            metavar="auto|folder|predicted|FILE.csv", rich_help_panel=IMAGES, help="What images are held against."
        ),
    ] = "auto"
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, rich_help_panel=IMAGES, help="Take N images only.")
    ] = None
    null: Annotated[
        bool, typer.Option("--null", "-0", rich_help_panel=IMAGES, help="Paths on standard input end with NUL.")
    ] = False
    panels: Annotated[
        bool | None,
        typer.Option(
            "--panels/--no-panels",
            rich_help_panel=IMAGES,
            help="Draw a panel for every result.",
            show_default="where there are few",
        ),
    ] = None
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N",
            rich_help_panel=IMAGES,
            help="Enlarge drawn pictures N times; 1: raw. explain: image or run, too, for its colors.",
            show_default="until legible, where there are few",
        ),
    ] = None

    def config(self, model: ModelOptions, out: Path, words: Sequence[str] = ()) -> "ImageConfig":
        """Turn texts into what every command over images takes.

        Args:
            model: options of the networks.
            out: folder of the run; pictures inside it are no input.
            words: that ``--scale`` means besides numbers.

        Raises:
            UsageError: a text has no meaning.
            NoInputError: no image matched.
        """
        from advcli.images.finding import find, outside
        from advcli.images.labels import for_folders, parse_labels
        from advcli.runs.images import ImageConfig

        labels = parse_labels(self.labels)
        sources = find(self.images or [], stdin=sys.stdin.buffer if sys.stdin else None, null_separated=self.null)
        taken = outside(sources, parsing.absolute(out))[: self.limit]
        return ImageConfig(
            sources=taken,
            models=model.requests(),
            labels=for_folders(labels, taken),
            panels=self.panels,
            scale=parsing.scales(self.scale, words)[0],
        )
