"""Saliency: the gradient map, the plainest answer to what a classifier looks at.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.
"""

from typing import Literal

from advcli.core.results import Report
from advcli.core.scores import Score
from advcli.engine.attributing import Question
from advcli.engine.explain import explain_command
from advcli.engine.run import Command, run
from advcli.engine.setup import Setup
from advcli.registry import Method


def saliency(setup: Setup, question: Question, *, arrays: bool = False) -> Report:
    """Draw each image beside the size of its gradient.

    Args:
        setup: images, classifier and folder.
        question: see ``saliency_question``.
        arrays: keep the float32 maps too, as ``.npy``.

    Returns:
        The report of the run in ``setup.out``; records are ``MapRecord``, one per image.

    Raises:
        AdvcliError: see ``run``.
    """
    return run(setup, saliency_command(setup, question, arrays=arrays))


def saliency_question(score: Score, reduce: Literal["max", "sum", "l2"], explained: str) -> Question:
    """Ask for the gradient of a score.

    Args:
        score: what is differentiated.
        reduce: how three channels become one map: largest absolute value, signed sum, or Euclidean length.
        explained: the class: ``predicted``, ``label``, or a class by name or index.
    """
    return Question((Method("attribution", "gradient", "saliency", {"reduce": reduce}),), score, None, explained)


def saliency_command(setup: Setup, question: Question, *, arrays: bool = False) -> Command:
    """Describe a saliency run."""
    return explain_command(setup, question, arrays=arrays, name="saliency")
