"""Saliency: the gradient map, the plainest answer to what a classifier looks at.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.
"""

from dataclasses import dataclass
from typing import ClassVar

from advcli.core.choices import Reduction, Score
from advcli.core.report import Report
from advcli.engine.explain import ExplainCommand, ExplainConfig
from advcli.errors import UsageError
from advcli.registry import parse_methods
from advcli.runs.command import RunConfig
from advcli.runs.images import ImageConfig
from advcli.runs.life import run

MOST_SAMPLES = 10_000  # noisy versions; more would only repeat the same map


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
    smooth: int | None = None,
    arrays: bool = False,
) -> ExplainConfig:
    """Ask for the gradient of a score.

    Args:
        scores: what is differentiated.
        reduce: how three channels become one map: largest absolute value, signed sum, or Euclidean length.
        classes: whose score: ``predicted``, ``label``, ``second``, or a class by name or index.
        smooth: noisy versions of the image to average the gradient over (SmoothGrad); none for the gradient itself.
        arrays: keep the float32 maps too, as ``.npy``.

    Raises:
        UsageError: ``smooth`` is no number of versions.
    """
    if smooth is not None and not 1 <= smooth <= MOST_SAMPLES:
        raise UsageError(f"--smooth {smooth} is out of range", f"use 1 to {MOST_SAMPLES} noisy versions, such as 25")
    text = f"gradient:reduce={reduce}" if smooth is None else f"smoothgrad:samples={smooth},reduce={reduce}"
    (method,) = parse_methods("attribution", [text], "--smooth")
    return ExplainConfig((method,), scores, classes, None, arrays)


@dataclass(frozen=True)
class SaliencyCommand(ExplainCommand):
    """Describes a saliency run; see ``Command``."""

    name: ClassVar[str] = "saliency"

    @property
    def optional_figures(self) -> dict[str, str]:
        """None: maps are graded by ``explain``."""
        return {}
