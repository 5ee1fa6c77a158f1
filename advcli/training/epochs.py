"""The figures of epochs, and which of them is best."""

from collections.abc import Sequence
from dataclasses import dataclass

WATCHED = {
    "validation_robust_loss": "loss of attacked validation images",
    "validation_loss": "validation loss",
    "loss": "training loss",
}


@dataclass(frozen=True)
class Epoch:
    """The figures of one pass over the training images.

    Args:
        epoch: 1 for the first.
        loss: mean training loss.
        train_accuracy: share of the augmented training images that were classified as their label before the step.
        validation_loss: mean cross-entropy of the validation images after the epoch; none without such images.
        validation_accuracy: share of the validation images that are classified as their label after the epoch.
        validation_robust_loss: mean cross-entropy of the attacked validation images; none without an attack.
        validation_robust_accuracy: share of the attacked validation images that are classified as their label.
        test_loss: mean cross-entropy of the test images after the epoch; none without test images.
        test_accuracy: share of the test images that are classified as their label after the epoch.
        learning_rate: of the last step.
        alpha: mean alpha of the spectra of the weights after the epoch; none where nobody asked.
        over_trained: number of layers whose alpha is below 2.
    """

    epoch: int
    loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    validation_robust_loss: float | None
    validation_robust_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    learning_rate: float
    alpha: float | None = None
    over_trained: int | None = None


def watched_name(epoch: Epoch) -> str:
    """Name the loss that plateaus, early stopping and the best epoch go by; never one of test images."""
    return next(name for name in WATCHED if getattr(epoch, name) is not None)


def watched(epoch: Epoch) -> float:
    """Give that loss."""
    return float(getattr(epoch, watched_name(epoch)))


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Give the first epoch with the lowest watched loss.

    Args:
        history: one epoch or more.
    """
    return min(history, key=watched)


def out_of_patience(history: Sequence[Epoch], patience: int) -> str | None:
    """Say why a training stops early; none where it goes on.

    Args:
        history: the epochs so far, one or more.
        patience: epochs without a new lowest watched loss, after which it stops.
    """
    best = best_epoch(history)
    if history[-1].epoch - best.epoch < patience:
        return None
    return f"the {WATCHED[watched_name(best)]} has not fallen below that of epoch {best.epoch} for {patience} epochs"
