"""The options of ``train``, in groups; imports nothing heavy."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from advcli.cli import parsing
from advcli.errors import UsageError

if TYPE_CHECKING:
    from advcli.training.objectives import Hardening
    from advcli.training.recipes import Recipe, RecipeName

RECIPE = "Recipe"
_THE_RECIPES = "the recipe's"


@dataclass(frozen=True)
class DataOptions:
    """What is learned, and by which network; the fields are typer parameters."""

    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="cifar10|FOLDER|FILE.npz",
            help="Class folders, or train/ and test/ with them; images and labels; repeat for more.",
        ),
    ] = None
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|FOLDER|FILE.npz",
            help="Measure here after every epoch; a share is split off all data.",
            show_default="the data's test images",
        ),
    ] = None
    val: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Split off the training images, to decide by.",
            show_default=f"{_THE_RECIPES}; fast: 0",
        ),
    ] = None
    download: Annotated[bool, typer.Option("--download", help="Fetch cifar10 (170 MB) where it is not there.")] = False
    arch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One of advcli model list, or timm:NAME.",
            show_default=f"{_THE_RECIPES}; fast: cifar-resnet20",
        ),
    ] = None
    pretrained: Annotated[
        bool | None,
        typer.Option(
            "--pretrained/--no-pretrained", help="Begin with trained weights.", show_default="seed-003 alone does"
        ),
    ] = None
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Side of the input.", show_default="the architecture's")
    ] = None

    def sources(self) -> tuple[str, ...]:
        """Name the data, files and folders by absolute paths.

        Raises:
            UsageError: there are none.
        """
        if not self.data:
            raise UsageError(
                "there is nothing to learn from", "give --data FOLDER with one folder per class, FILE.npz or cifar10"
            )
        return tuple(map(_source, self.data))

    def tests(self) -> tuple[float | None, str | None]:
        """Read ``--test``: a share, or what to measure on.

        Raises:
            UsageError: a share is not between 0 and 1.
        """
        if self.test is None:
            return None, None
        try:
            return parsing.share(self.test, "--test"), None
        except UsageError:
            if parsing.is_number(self.test):
                raise
            return 0.0, _source(self.test)


@dataclass(frozen=True)
class RecipeOptions:
    """A recipe, and what replaces its values; the fields are typer parameters."""

    recipe: Annotated[
        Literal["fast", "seed-003", "seed-004"],
        typer.Option(metavar="fast|seed-003|seed-004", help="Rates, lengths, augmentation and splits."),
    ] = "fast"
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Passes over the images.", show_default=f"{_THE_RECIPES}; fast: 30"),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(metavar="X", help="Highest learning rate.", show_default=f"{_THE_RECIPES}; fast: 0.4"),
    ] = None
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="flip, crop=4, rotate=10, cutout=16 or none.",
            show_default=f"{_THE_RECIPES}; fast: crop,flip",
        ),
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, rich_help_panel=RECIPE, help="Images of a step.")
    ] = None
    schedule: Annotated[
        Literal["one-cycle", "plateau", "constant"] | None,
        typer.Option(metavar="one-cycle|plateau|constant", rich_help_panel=RECIPE, help="Of the learning rate."),
    ] = None
    warmup: Annotated[
        float | None,
        typer.Option(metavar="SHARE", rich_help_panel=RECIPE, help="Of the steps, on which a one-cycle rate climbs."),
    ] = None
    plateau: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, rich_help_panel=RECIPE, help="Epochs without improvement it lasts."),
    ] = None
    momentum: Annotated[float | None, typer.Option(metavar="X", rich_help_panel=RECIPE, help="Of the gradient.")] = None
    nesterov: Annotated[
        bool | None, typer.Option("--nesterov/--no-nesterov", rich_help_panel=RECIPE, help="Look ahead along it.")
    ] = None
    weight_decay: Annotated[
        float | None, typer.Option(metavar="X", rich_help_panel=RECIPE, help="L2 penalty of every weight.")
    ] = None
    label_smoothing: Annotated[
        float | None,
        typer.Option(metavar="SHARE", rich_help_panel=RECIPE, help="Of the target that goes to all classes."),
    ] = None
    precision: Annotated[
        Literal["bf16", "fp32"] | None,
        typer.Option(metavar="bf16|fp32", rich_help_panel=RECIPE, help="Of the passes; weights are fp32."),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", rich_help_panel=RECIPE, help="Normalization; else the recipe's or the data's."),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", rich_help_panel=RECIPE, help="Normalization; else the recipe's or the data's."),
    ] = None

    def chosen(self, **more: Any) -> "Recipe":
        """Take the recipe, with what was said instead of its values.

        Args:
            more: values of other options; none leaves the recipe's.

        Raises:
            UsageError: a value has no meaning.
        """
        from advcli.training.recipes import RECIPES

        changes: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "recipe"}
        changes |= {"augment": _words(self.augment), **more}
        changes |= {name: parsing.triple(getattr(self, name), f"--{name}") for name in ("mean", "std")}
        name: RecipeName = self.recipe
        made = replace(RECIPES[name], **{key: value for key, value in changes.items() if value is not None})
        for option, schedule in (("warmup", "one-cycle"), ("plateau", "plateau")):
            if getattr(self, option) is not None and made.schedule != schedule:
                raise UsageError(
                    f"--{option} has no meaning for --schedule {made.schedule}",
                    f"give --schedule {schedule}, or leave it",
                )
        return made


@dataclass(frozen=True)
class HardeningOptions:
    """What a network is hardened against; the fields are typer parameters."""

    attack: Annotated[
        str | None,
        typer.Option(
            metavar="PLAN", help="Train on attacked images: pgd:eps=8/255,steps=7, trades:beta=6 or fast:eps=8/255."
        ),
    ] = None
    noise: Annotated[
        str | None, typer.Option(metavar="SIGMA", help="Train on Gaussian noise of this deviation, as 0.25.")
    ] = None
    jacobian: Annotated[float | None, typer.Option(metavar="LAMBDA", help="Penalty on the Jacobian of the logits.")] = (
        None
    )
    spectral_norm: Annotated[
        str | None, typer.Option(metavar="conv|all|GLOB", help="Layers whose weight is held at norm 1.")
    ] = None

    def plan(self) -> "Hardening":
        """Read the texts.

        Raises:
            UsageError: one has no meaning.
        """
        from advcli.training.objectives import Hardening, parse_inner

        return Hardening(
            attack=parse_inner(self.attack) if self.attack is not None else None,
            noise=parsing.figure(self.noise, "--noise") if self.noise is not None else 0.0,
            jacobian=self.jacobian or 0.0,
            spectral_norm=self.spectral_norm,
        )


@dataclass(frozen=True)
class CourseOptions:
    """When a training ends, and what is kept of its course; the fields are typer parameters."""

    patience: Annotated[
        int | None, typer.Option(metavar="N", help="Stop when the validation loss has not fallen for N epochs.")
    ] = None
    stop_on: Annotated[
        Literal["alpha"] | None, typer.Option(metavar="alpha", help="Stop by the spectra of the weights.")
    ] = None
    keep_every: Annotated[
        int | None, typer.Option(metavar="N", help="Keep the weights of every Nth epoch, as advcli esd takes them.")
    ] = None
    track: Annotated[bool, typer.Option("--track", help="Follow how weights and biases are distributed.")] = False


def _source(text: str) -> str:
    """Make a path absolute; ``cifar10`` is the data set, and a folder of that name is written with a slash."""
    return text if text == "cifar10" else str(parsing.absolute(Path(text)))


def _words(text: str | None) -> tuple[str, ...] | None:
    """Read a list of augmentations; ``none`` is an empty one."""
    if text is None:
        return None
    return () if text.strip() == "none" else tuple(word.strip() for word in text.split(","))
