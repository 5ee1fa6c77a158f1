"""Records of trainings, one an epoch."""

from advcli.core.fields import Number, shown
from advcli.core.records.base import Record


class EpochRecord(Record):
    """One epoch of a training.

    Attributes:
        epoch: 1 for the first.
        loss: mean training loss.
        train_accuracy: share of the augmented training images that were right before the step that they took part in.
        validation_loss: mean cross-entropy of the validation images after the epoch; none without such images.
        validation_accuracy: share of the validation images that are right after the epoch.
        validation_robust_loss: mean cross-entropy of the validation images under ten steps of pgd in the ball of the
            training's attack; none without validation images or attack.
        validation_robust_accuracy: share of them that are right under that attack.
        test_loss: mean cross-entropy of the test images after the epoch; none without test images.
        test_accuracy: share of the test images that are right after the epoch; none without test images.
        learning_rate: of the last step.
        alpha: mean alpha of the spectra of the weights; none without ``--stop-on alpha``.
        over_trained: number of layers whose alpha is below 2.
    """

    epoch: int = shown("epoch", "axis", default=0)
    loss: Number = shown("loss", "figure", terminal=True)
    train_accuracy: Number = shown("train accuracy", "figure", terminal=True)
    validation_loss: Number = shown("validation loss", "figure")
    validation_accuracy: Number = shown("validation accuracy", "figure", terminal=True)
    validation_robust_loss: Number = shown("validation loss, attacked", "figure")
    validation_robust_accuracy: Number = shown("validation accuracy, attacked", "figure", terminal=True)
    test_loss: Number = shown("test loss", "figure")
    test_accuracy: Number = shown("test accuracy", "figure", terminal=True)
    learning_rate: Number = shown("learning rate", "figure", terminal=True)
    alpha: Number = shown("alpha", "figure", terminal=True)
    over_trained: int | None = shown("over-trained layers", "count")
