"""advcli train: a network of our own on labelled images."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from advcli.cli.options import RunOptions
from advcli.cli.running import carry_out
from advcli.cli.training_options import CourseOptions, DataOptions, HardeningOptions, RecipeOptions

if TYPE_CHECKING:
    from advcli.engine.train import TrainConfig


def train(
    run: RunOptions, data: DataOptions, recipe: RecipeOptions, hardening: HardeningOptions, course: CourseOptions
) -> None:
    """Train a network on labelled images; the same command goes on after an interruption.

    Examples:
      advcli train --data cifar10 --download --val 0.1 --out cifar
      advcli train --data photos/ --val 0.1 --test 0.1 --arch resnet18 --pretrained
      advcli train --data images.npz --attack fast:eps=8/255 --spectral-norm conv
    """
    what = _config(data, recipe, hardening, course)

    from advcli.engine.train import TrainCommand
    from advcli.runs.command import Silence
    from advcli.training.together import together

    with together() as group:
        command = TrainCommand(what, group)
        if group.rank == 0:
            carry_out(command, run)
        elif not run.dry_run:
            command.follow(run.config(command.name, Silence()))


def _config(
    data: DataOptions, recipe: RecipeOptions, hardening: HardeningOptions, course: CourseOptions
) -> "TrainConfig":
    """Turn texts into what the engine takes.

    Raises:
        UsageError: one has no meaning.
    """
    from advcli.cli import parsing

    sources = data.sources()
    share, tests = data.tests()
    val = parsing.share(data.val, "--val") if data.val is not None else None

    from advcli.engine.train import TrainConfig
    from advcli.training.recipes import ARCHITECTURE, PRETRAINED

    begins = data.arch is None and recipe.recipe in PRETRAINED
    return TrainConfig(
        data=sources,
        arch=data.arch or ARCHITECTURE[recipe.recipe],
        test=tests,
        recipe=recipe.chosen(val=val, test=share),
        pretrained=begins if data.pretrained is None else data.pretrained,
        size=data.size,
        hardening=hardening.plan(),
        download=data.download,
        **asdict(course),
    )
