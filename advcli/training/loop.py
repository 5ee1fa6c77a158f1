"""The training loop: epochs of one recipe, continued from a checkpoint to the same weights as an unbroken run."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from advcli.errors import UsageError
from advcli.training.augmentation import crop_and_flip
from advcli.training.recipes import Recipe


@dataclass(frozen=True)
class Pictures:
    """Labelled pixels in memory.

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
    """What one pass over the training pictures came to.

    Args:
        epoch: 1 for the first.
        loss: mean training loss.
        train_accuracy: share of the augmented training pictures that were right while learning.
        test_accuracy: share of the test pictures that are right after the epoch; none without test pictures.
        seconds: wall-clock time.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    seconds: float


def fit(
    network: nn.Module,
    train: Pictures,
    test: Pictures | None,
    recipe: Recipe,
    *,
    normalize: Callable[[Tensor], Tensor],
    seed: int,
    device: torch.device,
    checkpoint: Path,
    each_epoch: Callable[[Epoch], None],
) -> list[Epoch]:
    """Train a network in place.

    Args:
        network: random weights to start from.
        train: what to learn from.
        test: what to measure on after every epoch.
        recipe: rates and lengths.
        normalize: pixels in [0, 1], (N, 3, H, W), to what the network sees.
        seed: with the epoch's number, the only source of randomness, so that a continued run equals an unbroken one.
        device: where to compute.
        checkpoint: rewritten after every epoch; where it exists, training goes on from it.
        each_epoch: called after each epoch.

    Returns:
        All epochs, those before the interruption included.

    Raises:
        UsageError: the checkpoint belongs to another recipe, seed or data size.
    """
    network.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1, momentum=recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    identity = {"recipe": asdict(recipe), "seed": seed, "pictures": len(train)}
    history = _resume(checkpoint, identity, network, optimizer)
    for number in range(len(history) + 1, recipe.epochs + 1):
        began = time.perf_counter()
        batches = _batches(train, recipe, seed, number)
        loss, accuracy = _learn(network, optimizer, batches, recipe, normalize, device, number)
        tested = None if test is None else evaluate(network, test, normalize, device)
        history.append(Epoch(number, loss, accuracy, tested, time.perf_counter() - began))
        _save(checkpoint, identity, network, optimizer, history)
        each_epoch(history[-1])
    return history


def evaluate(
    network: nn.Module, pictures: Pictures, normalize: Callable[[Tensor], Tensor], device: torch.device
) -> float:
    """Share of the pictures whose label has the highest logit, in float32 and evaluation mode."""
    network.eval()
    right = 0
    with torch.inference_mode():
        for images, labels in zip(torch.split(pictures.images, 500), torch.split(pictures.labels, 500), strict=True):
            logits = network(normalize(images.to(device).float() / 255))
            right += int((logits.argmax(1) == labels.to(device)).sum())
    return right / len(pictures)


def _batches(train: Pictures, recipe: Recipe, seed: int, epoch: int) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Yield (share of all steps done, uint8 images, labels); a last short batch is left out, batch norm dislikes it."""
    generator = Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(train), generator=generator)
    size = min(recipe.batch_size, len(train))
    steps = len(train) // size
    for step in range(steps):
        chosen = order[step * size : (step + 1) * size]
        done = (epoch - 1 + step / steps) / recipe.epochs
        yield done, crop_and_flip(train.images[chosen], generator), train.labels[chosen]


def _learn(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[float, Tensor, Tensor]],
    recipe: Recipe,
    normalize: Callable[[Tensor], Tensor],
    device: torch.device,
    epoch: int,
) -> tuple[float, float]:
    network.train()
    losses = right = seen = 0.0
    torch.manual_seed(epoch)  # dropout draws from the global stream; the caller's state is put back by engine/train.py
    for done, images, labels in batches:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(done)
        pixels = images.to(device).float().div_(255).to(memory_format=torch.channels_last)
        labels = labels.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            logits = network(normalize(pixels))
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses += float(loss.detach()) * len(labels)
        right += int((logits.argmax(1) == labels).sum())
        seen += len(labels)
    return losses / seen, right / seen


def _resume(
    checkpoint: Path, identity: dict[str, object], network: nn.Module, optimizer: torch.optim.Optimizer
) -> list[Epoch]:
    if not checkpoint.exists():
        return []
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    if state["identity"] != identity:
        raise UsageError(
            f"{checkpoint} belongs to a training with other settings or data",
            "give the same settings, another --out, or --overwrite",
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [Epoch(**epoch) for epoch in state["history"]]


def _save(
    checkpoint: Path,
    identity: dict[str, object],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[Epoch],
) -> None:
    state = {
        "identity": identity,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [asdict(epoch) for epoch in history],
    }
    beside = checkpoint.with_name(checkpoint.name + ".part")
    torch.save(state, beside)
    beside.replace(checkpoint)
