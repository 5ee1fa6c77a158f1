"""What one training step minimizes: the plain loss, or a loss at the perturbation that an inner attack finds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from advcli.core.norms import BALLS, Norm
from advcli.core.randomness import RowNoise

Objective = Callable[[nn.Module, Tensor, Tensor, Generator], tuple[Tensor, Tensor]]
"""Takes a network that reads pixels in [0, 1], pixels (N, 3, H, W), labels (N,) and a source of randomness on the CPU.
Returns the mean loss, to be differentiated, and the logits (N, K) whose accuracy is told."""

InnerLoss = Callable[[Tensor], Tensor]
"""Logits (N, K) to the sum over images of what the inner attack maximizes."""

InnerAttack = Callable[[nn.Module, InnerLoss, Tensor, Generator], Tensor]
"""Takes the network, the loss, pixels (N, 3, H, W) in [0, 1] and a source of randomness; returns perturbed pixels."""


def plain(
    network: nn.Module, pixels: Tensor, labels: Tensor, generator: Generator, *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the images as they are; see ``Objective``."""
    del generator
    logits = network(pixels).float()
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing), logits


def adversarial(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    generator: Generator,
    *,
    attack: InnerAttack,
    base: Objective = plain,
) -> tuple[Tensor, Tensor]:
    """Minimize an objective at the perturbed images alone; see ``Objective``.

    Args:
        network: pixels to logits.
        pixels: (N, 3, H, W) in [0, 1].
        labels: (N,).
        generator: for the attack.
        attack: maximizes the cross-entropy of the labels.
        base: what is minimized there.

    Source: Madry et al. 2018, https://arxiv.org/abs/1706.06083, section 2; with ``fgsm`` Wong et al. 2020,
        https://arxiv.org/abs/2001.03994.
    """
    moved = attack(network, lambda logits: F.cross_entropy(logits, labels, reduction="sum"), pixels, generator)
    return base(network, moved, labels, generator)


def trades(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    generator: Generator,
    *,
    attack: InnerAttack,
    beta: float = 6.0,
    base: Objective = plain,
) -> tuple[Tensor, Tensor]:
    """Minimize an objective at the images as they are, plus ``beta`` times how far a perturbation moves the answer.

    Args:
        network: pixels to logits.
        pixels: (N, 3, H, W) in [0, 1].
        labels: (N,).
        generator: for the attack.
        attack: maximizes the divergence of the answer from that of the images as they are. It has to start beside
            the image, where the divergence has a gradient.
        beta: weight of the Kullback-Leibler divergence; with 0 there is no attack, and this is ``base`` alone.
        base: objective at the images as they are.

    Source: Zhang et al. 2019, https://arxiv.org/abs/1901.08573, algorithm 1.
    """
    if beta == 0:
        return base(network, pixels, labels, generator)
    with evaluating(network), torch.no_grad():
        answer = network(pixels).float().softmax(1)
    moved = attack(network, lambda logits: divergence(answer, logits).sum(), pixels, generator)
    loss, logits = base(network, pixels, labels, generator)
    return loss + beta * divergence(logits.softmax(1), network(moved).float()).mean(), logits


def divergence(answer: Tensor, logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence (N,) of the softmax of ``logits`` (N, K) from probabilities ``answer`` (N, K)."""
    return F.kl_div(logits.log_softmax(1), answer, reduction="none").sum(1)


def pgd(
    network: nn.Module,
    loss: InnerLoss,
    pixels: Tensor,
    generator: Generator,
    *,
    norm: Norm = "linf",
    eps: float = 8 / 255,
    steps: int = 7,
    step_size: float | None = None,
) -> Tensor:
    """Climb from a uniform random point of a ball around each image; see ``InnerAttack``.

    The network is in evaluation mode meanwhile, so that its batch norms learn nothing from half-made perturbations.

    Args:
        network: pixels to logits.
        loss: to climb.
        pixels: (N, 3, H, W) in [0, 1].
        generator: chooses the starting points.
        norm: of the ball.
        eps: radius of the ball, in pixel units.
        steps: number of gradients.
        step_size: length of a step in pixel units; by default 2.5 * eps / steps.

    Source: Madry et al. 2018, https://arxiv.org/abs/1706.06083, section 2.1.
    """
    ball = BALLS[norm]
    radius = pixels.new_full((len(pixels),), eps)
    length = pixels.new_full((len(pixels),), 2.5 * eps / steps if step_size is None else step_size)
    moved = ball.project(pixels + ball.sample(_Draws(generator, pixels), pixels, radius), pixels, radius)
    with evaluating(network):
        for _ in range(steps):
            leaf = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(network(leaf).float()), leaf)
            moved = ball.project(ball.ascend(moved, gradient, length), pixels, radius)
    return moved


def fgsm(
    network: nn.Module,
    loss: InnerLoss,
    pixels: Tensor,
    generator: Generator,
    *,
    eps: float = 8 / 255,
) -> Tensor:
    """One step of 1.25 * eps from a uniform random point of the linf ball; see ``InnerAttack``.

    Costs one forward and one backward pass. It can suddenly stop to work during a training (catastrophic
    overfitting): watch the accuracy under ``pgd`` on images that are not trained on.

    Args:
        network: pixels to logits.
        loss: to climb.
        pixels: (N, 3, H, W) in [0, 1].
        generator: chooses the starting points.
        eps: radius of the ball, in pixel units.

    Source: Wong et al. 2020, https://arxiv.org/abs/2001.03994, algorithm 3.
    """
    return pgd(network, loss, pixels, generator, eps=eps, steps=1, step_size=1.25 * eps)


class _Draws(RowNoise):
    """Draws for the rows of a batch from one generator.

    The keyed streams of attacks take as long as a step of a small network, and a training goes through its batches in
    one order only.
    """

    def __init__(self, generator: Generator, pixels: Tensor) -> None:
        self._generator, self._pixels = generator, pixels

    def uniform(self, *shape: int) -> Tensor:
        """Draw from [0, 1): float32 (N, *shape)."""
        return torch.rand(len(self._pixels), *shape, generator=self._generator).to(self._pixels.device)

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution: float32 (N, *shape)."""
        return torch.randn(len(self._pixels), *shape, generator=self._generator).to(self._pixels.device)

    def sign(self, *shape: int) -> Tensor:
        """Draw -1 or 1 with equal chance: float32 (N, *shape)."""
        return torch.where(self.uniform(*shape) < 0.5, -1.0, 1.0)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its modules back into its own mode at the end."""
    before = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
