"""The training loop: epochs of one recipe, continued from a checkpoint to the same weights as without interruption."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from advcli.core.randomness import key
from advcli.errors import ModelError
from advcli.training.adversarial import Objective, evaluating, plain
from advcli.training.augmentation import parse_augment
from advcli.training.checkpoints import load_checkpoint, save_checkpoint
from advcli.training.recipes import Recipe, Triple

OnStep = Callable[[float], None]
"""Called after each step with the share of the epoch that is done, in (0, 1]."""
_AT_A_TIME = 500  # test images that the network is shown together


@dataclass(frozen=True)
class Examples:
    """Labelled images in memory.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Epoch:
    """The figures of one pass over the training images.

    Args:
        epoch: 1 for the first.
        loss: mean training loss.
        train_accuracy: share of the augmented training images that were classified as their label before the step.
        test_loss: mean cross-entropy of the test images after the epoch; none without test images.
        test_accuracy: share of the test images that are classified as their label after the epoch; likewise none.
        learning_rate: of the last step.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    learning_rate: float


class Normalized(nn.Module):
    """A network that reads pixels in [0, 1].

    Args:
        network: normalized pixels (N, 3, H, W) to logits (N, K).
        mean: subtracted from the pixels, per channel.
        std: divided by, per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Triple, std: Triple) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels (N, 3, H, W) to logits (N, K)."""
        return self.network((pixels - self.mean) / self.std)  # type: ignore[no-any-return]


def fit(
    network: Normalized,
    train: Examples,
    test: Examples | None,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    identity: str = "",
    objective: Objective | None = None,
    on_step: OnStep | None = None,
) -> Iterator[Epoch]:
    """Train a network in place, epoch by epoch.

    The caller's random state is as before whenever an epoch is given.

    Args:
        network: with the weights to start from.
        train: what to learn from.
        test: what to measure on after every epoch.
        recipe: rates, lengths and augmentation.
        seed: with the epoch's number the only source of randomness, so that a continued run equals an unbroken one.
        device: where to compute.
        checkpoint: rewritten after every epoch; where it exists, training goes on from it.
        identity: of the training; a checkpoint with another one is refused.
        objective: what a step minimizes; by default the cross-entropy.
        on_step: called after each step.

    Yields:
        Every epoch: first those that the checkpoint knows, then each new one when it is in the checkpoint.

    Raises:
        UsageError: the checkpoint is damaged, belongs to another training, or cannot be written.
        ModelError: the loss is not finite; the epochs before are in the checkpoint.
    """
    network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=recipe.rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )
    history = _resume(checkpoint, identity, network.network, optimizer)
    yield from history
    objective = objective or partial(plain, label_smoothing=recipe.label_smoothing)
    training = _Training(network, optimizer, recipe, objective, device, seed, on_step)
    while len(history) < recipe.epochs:
        number = len(history) + 1
        with torch.random.fork_rng():
            torch.manual_seed(_stream(seed, "dropout", number))  # layers with dropout draw from the global stream
            loss, accuracy, rate = training.epoch(train, history)
        test_loss, test_accuracy = (None, None) if test is None else evaluate(network, test, device)
        history.append(Epoch(number, loss, accuracy, test_loss, test_accuracy, rate))
        state = {
            "network": network.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in history],
        }
        save_checkpoint(checkpoint, identity, state)
        yield history[-1]


def evaluate(network: nn.Module, examples: Examples, device: torch.device) -> tuple[float, float]:
    """Measure a network in float32 and evaluation mode.

    Args:
        network: pixels to logits, on ``device``; its mode is the same afterwards.
        examples: at least one.
        device: where to compute.

    Returns:
        Mean cross-entropy, and share of the images that are classified as their label.
    """
    loss = right = 0.0
    with evaluating(network), torch.inference_mode():
        batches = (torch.split(part, _AT_A_TIME) for part in (examples.images, examples.labels))
        for images, labels in zip(*batches, strict=True):
            logits, wanted = network(images.to(device).float() / 255), labels.to(device)
            loss += float(F.cross_entropy(logits, wanted, reduction="sum"))
            right += int((logits.argmax(1) == wanted).sum())
    return loss / len(examples), right / len(examples)


@dataclass(frozen=True)
class _Training:
    """What the steps of all epochs have in common; see ``fit``."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    objective: Objective
    device: torch.device
    seed: int
    on_step: OnStep | None

    def epoch(self, train: Examples, history: Sequence[Epoch]) -> tuple[float, float, float]:
        """Go once through the training images; return mean loss, accuracy and last learning rate."""
        number = len(history) + 1
        watched = [epoch.loss if epoch.test_loss is None else epoch.test_loss for epoch in history]
        noise = Generator().manual_seed(_stream(self.seed, "attack", number))
        self.network.train()
        losses = right = seen = rate = 0.0
        for done, images, labels in _batches(train, self.recipe, _stream(self.seed, "order", number)):
            rate = self.recipe.rate_at((number - 1 + done) / self.recipe.epochs, watched)
            loss, hits = self._step(rate, images, labels, noise)
            if not math.isfinite(loss):
                raise ModelError(f"the loss is not finite in epoch {number}", "epochs before are kept; lower --rate")
            losses, right, seen = losses + loss * len(labels), right + hits, seen + len(labels)
            if self.on_step is not None:
                self.on_step(min(1.0, done + len(labels) / len(train)))
        return losses / seen, right / seen, rate

    def _step(self, rate: float, images: Tensor, labels: Tensor, noise: Generator) -> tuple[float, int]:
        """Take one step; return the mean loss before it, and the number of images that were right."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        pixels = images.to(self.device).float().div_(255).to(memory_format=torch.channels_last)
        labels = labels.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            loss, logits = self.objective(self.network, pixels, labels, noise)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach()), int((logits.argmax(1) == labels).sum())


def _batches(train: Examples, recipe: Recipe, seed: int) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Yield (share of the epoch done, uint8 images, labels); a last, shorter batch is left out.

    Batch norms would take its statistics for as good as those of a full batch, and have none of a single image.
    """
    generator = Generator().manual_seed(seed)
    changes = parse_augment(recipe.augment)
    order = torch.randperm(len(train), generator=generator)
    size = min(recipe.batch_size, len(train))
    steps = len(train) // size
    for step in range(steps):
        chosen = order[step * size : (step + 1) * size]
        images = train.images[chosen]
        for change in changes:
            images = change(images, generator)
        yield step / steps, images, train.labels[chosen]


def _stream(seed: int, purpose: str, epoch: int) -> int:
    """Derive the seed of one generator; other purposes and epochs have independent numbers."""
    low, high, *_ = key(seed, "", purpose, str(epoch))
    return low | high << 32


def _resume(checkpoint: Path, identity: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Epoch]:
    state = load_checkpoint(checkpoint, identity)
    if state is None:
        return []
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [Epoch(**epoch) for epoch in state["history"]]
