"""advcli saliency: where a small change would matter most."""

from typing import Annotated

import typer

from advcli.cli import options as opt
from advcli.cli import parsing
from advcli.cli.commands import image_command
from advcli.cli.running import carry_out


@image_command
def saliency(
    common: opt.Common,
    score: opt.Score = "logit",
    reduce: Annotated[str, typer.Option(metavar="max|sum|l2", help="How three channels become one map.")] = "max",
    class_: opt.Explained = "predicted",
    npy: opt.Arrays = False,
) -> None:
    """Draw what MODEL looks at in IMAGES: the size of the gradient, beside the original.

    Example: advcli saliency photos/fox.jpg --model resnet18 --score logprob --out saliency
    """
    parsing.choice(score, "--score", opt.SCORES)
    parsing.choice(reduce, "--reduce", ("max", "sum", "l2"))

    from advcli.engine.saliency import saliency as run
    from advcli.engine.saliency import saliency_command, saliency_question

    question = saliency_question(score, reduce, class_)  # type: ignore[arg-type]
    carry_out(
        "saliency",
        common,
        lambda setup: saliency_command(setup, question, arrays=npy),
        lambda setup: run(setup, question, arrays=npy),
    )
