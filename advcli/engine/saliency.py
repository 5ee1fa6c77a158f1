"""Saliency: the gradient map, the plainest answer to what a classifier looks at.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

from advcli.core.choices import Reduction, Score
from advcli.core.report import Report
from advcli.engine.explain import ExplainCommand, ExplainConfig
from advcli.registry import Method
from advcli.runs.command import RunConfig
from advcli.runs.images import ImageConfig
from advcli.runs.life import run


def saliency(config: RunConfig, images: ImageConfig, what: ExplainConfig) -> Report:
    """Draw each image beside the size of its gradient.

    Args:
        config: of the run.
        images: and models.
        what: see ``saliency_config``.

    Returns:
        The report of the run in ``config.out``; records are ``MapRecord``, one per image and case.

    Raises:
        AdvcliError: see ``runs.life.run``.
    """
    return run(config, SaliencyCommand(images, what))


def saliency_config(
    scores: tuple[Score, ...] = ("logit",),
    reduce: Reduction = "max",
    classes: tuple[str, ...] = ("predicted",),
    *,
    arrays: bool = False,
) -> ExplainConfig:
    """Ask for the gradient of a score.

    Args:
        scores: what is differentiated.
        reduce: how three channels become one map: largest absolute value, signed sum, or Euclidean length.
        classes: whose score: ``predicted``, ``label``, ``second``, or a class by name or index.
        arrays: keep the float32 maps too, as ``.npy``.
    """
    return ExplainConfig((Method("attribution", "gradient", {"reduce": reduce}),), scores, classes, None, arrays)


@dataclass(frozen=True)
class SaliencyCommand(ExplainCommand):
    """Describes a saliency run; see ``Command``."""

    name: ClassVar[str] = "saliency"
