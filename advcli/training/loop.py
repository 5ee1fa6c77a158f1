"""The training loop: epochs of one recipe, continued from a checkpoint to the same weights as without interruption."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from advcli.core.randomness import key
from advcli.errors import ModelError, UsageError
from advcli.training.adversarial import InnerAttack, Objective, plain
from advcli.training.augmentation import parse_augment
from advcli.training.checkpoints import load_checkpoint, save_checkpoint
from advcli.training.epochs import Epoch, watched
from advcli.training.examples import Examples, Parts
from advcli.training.measuring import evaluate
from advcli.training.recipes import Recipe, Triple
from advcli.training.together import Group, synchronize

Measured = tuple[float, float] | tuple[None, None]
OnStep = Callable[[float], None]
"""Called after each step with the share of the epoch that is done, in (0, 1]."""

OnEpoch = Callable[[Epoch, Sequence[Epoch], nn.Module], Epoch]
"""Called after each epoch, before it is in the checkpoint: its figures, the epochs before, and the network. Returns the
figures, perhaps with more of them. An interruption in between has the epoch trained, and this called, once more."""

Stop = Callable[[Sequence[Epoch]], str | None]
"""Takes the epochs so far; says why to stop, or none to go on."""


@dataclass(frozen=True)
class Hooks:
    """What else happens in a training.

    Args:
        on_step: hears how far it is.
        on_epoch: writes files, and measures more.
        stop: ends it early.
    """

    on_step: OnStep | None = None
    on_epoch: OnEpoch | None = None
    stop: Stop | None = None


class Normalized(nn.Module):
    """A network that reads pixels in [0, 1].

    Args:
        network: normalized pixels (N, 3, H, W) to logits (N, K); of several outputs, as GoogLeNet and Inception have
            while they learn, ``logits`` is taken.
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
        out = self.network((pixels - self.mean) / self.std)
        return out if isinstance(out, Tensor) else out.logits


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Args:
        recipe: rates, lengths and augmentation.
        seed: with the epoch's number the only source of randomness, so that a continued run equals an unbroken one.
        device: where to compute.
        checkpoint: rewritten after every epoch; where it exists, training goes on from it.
        identity: of the training; a checkpoint with another one is refused.
        objective: what a step minimizes; by default the cross-entropy.
        check: attack under which the validation images are measured too; none for none.
        group: processes that train together.
    """

    recipe: Recipe
    seed: int
    device: torch.device
    checkpoint: Path
    identity: str = ""
    objective: Objective | None = None
    check: InnerAttack | None = None
    group: Group = field(default_factory=Group)


def fit(network: Normalized, parts: Parts, plan: Plan, hooks: Hooks | None = None) -> Iterator[Epoch]:
    """Train a network in place, epoch by epoch.

    The caller's random state is as before whenever an epoch is given.

    Args:
        network: with the weights to start from.
        parts: what to learn from and to measure on.
        plan: how.
        hooks: what else happens.

    Yields:
        Every epoch: first those that the checkpoint knows, then each new one when it is in the checkpoint.

    Raises:
        UsageError: the checkpoint is damaged, belongs to another training, or cannot be written; a batch is smaller
            than the number of processes.
        ModelError: a loss is not finite; the epochs before are in the checkpoint.
    """
    hooks = hooks or Hooks()
    if plan.recipe.batch_size % plan.group.size or len(parts.train) < plan.group.size:
        raise UsageError(
            f"a batch of {min(plan.recipe.batch_size, len(parts.train))} cannot be shared by {plan.group.size} "
            "processes",
            "give --batch-size a multiple of their number",
        )
    network.to(plan.device).to(memory_format=torch.channels_last)
    synchronize(network, plan.group)
    training = _Training(network, _optimizer(network, plan.recipe), plan, hooks.on_step)
    history = training.resume()
    yield from history
    while len(history) < plan.recipe.epochs and not plan.group.told(_is_over(history, hooks)):
        epoch = training.epoch(parts, history)
        if hooks.on_epoch is not None:
            epoch = hooks.on_epoch(epoch, history, network.network)
        history.append(plan.group.told(epoch))
        training.save(history)
        yield history[-1]


@dataclass(frozen=True)
class _Training:
    """What the steps of all epochs have in common; see ``fit``."""

    network: Normalized
    optimizer: torch.optim.Optimizer
    plan: Plan
    on_step: OnStep | None

    def epoch(self, parts: Parts, history: Sequence[Epoch]) -> Epoch:
        """Train one epoch and measure what came of it."""
        number, plan = len(history) + 1, self.plan
        with torch.random.fork_rng([plan.device] if plan.device.type == "cuda" else []):
            # Layers with dropout draw from the global stream, of which each process has its own.
            torch.manual_seed(_stream(plan.seed, "dropout", number, plan.group.rank))
            loss, accuracy, rate = self._learn(parts.train, history)
        validation = self._measure(parts.validation)
        robust = self._measure(parts.validation, plan.check) if plan.check else (None, None)
        test = self._measure(parts.test)
        if not all(math.isfinite(one[0]) for one in (validation, robust, test) if one[0] is not None):
            raise _diverged(number)
        return Epoch(
            number,
            loss,
            accuracy,
            validation_loss=validation[0],
            validation_accuracy=validation[1],
            validation_robust_loss=robust[0],
            validation_robust_accuracy=robust[1],
            test_loss=test[0],
            test_accuracy=test[1],
            learning_rate=rate,
        )

    def resume(self) -> list[Epoch]:
        """Load what the checkpoint has; give the epochs that it knows."""
        group = self.plan.group
        state = group.told(load_checkpoint(self.plan.checkpoint, self.plan.identity) if group.rank == 0 else None)
        if state is None:
            return []
        self.network.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        return [Epoch(**epoch) for epoch in state["history"]]

    def save(self, history: Sequence[Epoch]) -> None:
        """Write the checkpoint, if this is the process that writes."""
        if self.plan.group.rank:
            return
        state: dict[str, Any] = {
            "network": self.network.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in history],
        }
        save_checkpoint(self.plan.checkpoint, self.plan.identity, state)

    def _measure(self, examples: Examples | None, attack: InnerAttack | None = None) -> Measured:
        plan = self.plan
        if examples is None:
            return None, None
        return evaluate(self.network, examples, plan.device, attack=attack, seed=plan.seed, group=plan.group)

    def _learn(self, train: Examples, history: Sequence[Epoch]) -> tuple[float, float, float]:
        """Go once through the training images; return mean loss, accuracy and last learning rate."""
        number, recipe, group = len(history) + 1, self.plan.recipe, self.plan.group
        losses_before = [watched(epoch) for epoch in history]
        noise = Generator().manual_seed(_stream(self.plan.seed, "attack", number, group.rank))
        order = _stream(self.plan.seed, "order", number)
        self.network.train()
        losses = right = seen = rate = 0.0
        for done, images, labels in _batches(train, recipe, order, group.size):
            rate = recipe.rate_at((number - 1 + done) / recipe.epochs, losses_before)
            loss, hits = self._step(rate, group.rows(images), group.rows(labels), noise)
            summed, all_hits = group.total(loss * (len(labels) // group.size), hits)
            if not math.isfinite(summed):
                raise _diverged(number)
            losses, right, seen = losses + summed, right + all_hits, seen + len(labels)
            if self.on_step is not None:
                self.on_step(min(1.0, done + len(labels) / len(train)))
        return losses / seen, right / seen, rate

    def _step(self, rate: float, images: Tensor, labels: Tensor, noise: Generator) -> tuple[float, int]:
        """Take one step; return the mean loss before it, and the number of images that were right."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        device, recipe = self.plan.device, self.plan.recipe
        pixels = images.to(device).float().div_(255).to(memory_format=torch.channels_last)
        labels = labels.to(device)
        objective = self.plan.objective or partial(plain, label_smoothing=recipe.label_smoothing)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            loss, logits = objective(self.network, pixels, labels, noise)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.plan.group.average(self.network)
        self.optimizer.step()
        return float(loss.detach()), int((logits.argmax(1) == labels).sum())


def _is_over(history: Sequence[Epoch], hooks: Hooks) -> bool:
    return bool(history) and hooks.stop is not None and hooks.stop(history) is not None


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def _diverged(number: int) -> ModelError:
    kept = "epochs before are kept, the best of them in best.safetensors"
    return ModelError(f"the loss is not finite in epoch {number}", f"{kept}; give another --out and a lower --rate")


def _batches(train: Examples, recipe: Recipe, seed: int, multiple: int) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Yield (share of the epoch done, uint8 images, labels); a last, shorter batch is left out.

    Batch norms would take its statistics for as good as those of a full batch, and have none of a single image.
    """
    generator = Generator().manual_seed(seed)
    changes = parse_augment(recipe.augment)
    order = torch.randperm(len(train), generator=generator)
    size = min(recipe.batch_size, len(train) // multiple * multiple)
    steps = len(train) // size
    for step in range(steps):
        images, labels = train.take(order[step * size : (step + 1) * size])
        for change in changes:
            images = change(images, generator)
        yield step / steps, images, labels


def _stream(seed: int, purpose: str, epoch: int, rank: int = 0) -> int:
    """Derive the seed of one generator; other purposes, epochs and processes have independent numbers."""
    low, high, *_ = key(seed, "", purpose, str(epoch), *([str(rank)] if rank else []))
    return low | high << 32
