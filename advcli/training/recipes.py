"""The numbers that a training follows, and the recipes that ship, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from advcli.errors import UsageError

Schedule = Literal["one-cycle", "plateau", "constant"]
RecipeName = Literal["fast", "seed-003", "seed-004"]
Triple = tuple[float, float, float]
_IMPROVEMENT = 1e-4  # relative; a loss that falls by less has not improved, as in PyTorch
_SMALLEST_CHANGE = 1e-8  # a learning rate that would fall by less stays, as in PyTorch


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent, and what is done to the images.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        rate: the highest learning rate.
        schedule: ``one-cycle`` climbs from zero to ``rate`` and falls in a straight line back to zero; ``plateau``
            divides the rate by 10 when the validation loss (without validation images the training loss) has not
            improved for more than ``plateau`` epochs; ``constant`` stays at ``rate``.
        warmup: share of the steps on which a one-cycle rate climbs, above 0 and below 1.
        plateau: epochs without improvement that a plateau lasts.
        momentum: of the gradient, in [0, 1).
        nesterov: look ahead along the momentum.
        weight_decay: L2 penalty of every weight.
        label_smoothing: probability that the target spreads over all classes, in [0, 1].
        augment: what is done to each batch of training images, such as ``crop``; see ``augmentation.parse_augment``.
        precision: of the forward and backward passes; weights are always float32.
        mean: of the normalization, in units of [0, 1] pixels; by default that of the training images.
        std: of the normalization; by default that of the training images.
        val: share of the training images that is held out as validation images, in [0, 1).
        test: share of all images that is held out as test images, in [0, 1); with 0 those of the test folder, if any.

    Source: Smith and Topin 2017, https://arxiv.org/abs/1708.07120 (one-cycle).
    """

    epochs: int = 30
    batch_size: int = 256
    rate: float = 0.4
    schedule: Schedule = "one-cycle"
    warmup: float = 0.2
    plateau: int = 5
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.05
    augment: tuple[str, ...] = ("crop", "flip")
    precision: Literal["bf16", "fp32"] = "bf16"
    mean: Triple | None = None
    std: Triple | None = None
    val: float = 0.0
    test: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be learned."""
        wrong = {
            "epochs": self.epochs < 1,
            "batch_size": self.batch_size < 1,
            "rate": not 0 < self.rate < float("inf"),
            "warmup": not 0 < self.warmup < 1,
            "plateau": self.plateau < 0,
            "momentum": not 0 <= self.momentum < 1,
            "weight_decay": not 0 <= self.weight_decay < float("inf"),
            "label_smoothing": not 0 <= self.label_smoothing <= 1,
            "val": not 0 <= self.val < 1,
            "test": not 0 <= self.test < 1,
        }
        for name, is_wrong in wrong.items():
            if is_wrong:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} {getattr(self, name)!r} cannot be trained with", "see advcli train --help")
        if self.nesterov and not self.momentum:
            raise UsageError("--momentum 0 leaves nothing to look ahead along", "give --no-nesterov too")
        if self.val + self.test >= 1:
            raise UsageError(f"--val {self.val:g} and --test {self.test:g} leave nothing to learn from", "lower them")

    def rate_at(self, done: float, losses: Sequence[float]) -> float:
        """Say how large the learning rate is.

        It depends on nothing but its arguments, so that a training that is continued takes the steps of one that was
        not interrupted.

        Args:
            done: share of all steps of the training that are done, in [0, 1].
            losses: that a plateau watches, one per finished epoch.
        """
        if self.schedule == "plateau":
            return plateau(self.rate, losses, self.plateau)
        if self.schedule == "constant":
            return self.rate
        if done < self.warmup:
            return self.rate * done / self.warmup
        return self.rate * (1 - done) / (1 - self.warmup)


def plateau(rate: float, losses: Sequence[float], patience: int) -> float:
    """Divide a learning rate by 10 each time the loss stops falling, as PyTorch's ReduceLROnPlateau does.

    Args:
        rate: at the beginning.
        losses: one per finished epoch.
        patience: epochs without improvement after which one more divides the rate.
    """
    best, waited = float("inf"), 0
    for loss in losses:
        if loss < best * (1 - _IMPROVEMENT):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            waited = 0
            rate = rate / 10 if rate - rate / 10 > _SMALLEST_CHANGE else rate
    return rate


RECIPES: dict[RecipeName, Recipe] = {
    "fast": Recipe(),
    # The notebook behind the fourth source document: pixels 0...255, no augmentation, no weight decay; all 60,000
    # images split into 40,000, 10,000 and 10,000.
    "seed-004": Recipe(
        epochs=50,
        batch_size=64,
        rate=0.01,
        schedule="plateau",
        nesterov=False,
        weight_decay=0.0,
        label_smoothing=0.0,
        augment=(),
        precision="fp32",
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        val=1 / 6,
        test=1 / 6,
    ),
    # The third source document fine-tunes AlexNet and gives no numbers: these are usual ones for pretrained networks,
    # with the normalization of ImageNet, which pretrained weights are used to.
    "seed-003": Recipe(
        epochs=10,
        batch_size=64,
        rate=0.001,
        schedule="plateau",
        plateau=2,
        nesterov=False,
        label_smoothing=0.0,
        augment=("flip",),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}

ARCHITECTURE: dict[RecipeName, str] = {"fast": "cifar-resnet20", "seed-003": "alexnet", "seed-004": "cifar-cnn8"}
"""What a recipe trains where nobody names an architecture."""

PRETRAINED: tuple[RecipeName, ...] = ("seed-003",)
"""Recipes that begin with trained weights where nobody says another architecture."""
