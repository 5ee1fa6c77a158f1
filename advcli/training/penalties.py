"""Objectives that smooth a network: Gaussian noise on the pixels, and a penalty on the Jacobian of the logits."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from advcli.training.adversarial import Objective, plain


def noisy(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    generator: Generator,
    *,
    sigma: float,
    base: Objective = plain,
) -> tuple[Tensor, Tensor]:
    """Minimize an objective at images with Gaussian noise; see ``Objective``.

    Args:
        network: pixels to logits.
        pixels: (N, 3, H, W) in [0, 1].
        labels: (N,).
        generator: of the noise.
        sigma: standard deviation of the noise, in pixel units. The sum may leave [0, 1], as randomized smoothing
            certifies the network with noise that does.
        base: what is minimized there.

    Source: Cohen et al. 2019, https://arxiv.org/abs/1902.02918, section 3.3.
    """
    noise = torch.randn(pixels.shape, generator=generator).to(pixels.device)
    return base(network, pixels + sigma * noise, labels, generator)


def flat(
    network: nn.Module,
    pixels: Tensor,
    labels: Tensor,
    generator: Generator,
    *,
    weight: float,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy plus ``weight / 2`` times the squared Frobenius norm of the logits' Jacobian; see ``Objective``.

    The norm is estimated by one random direction of the logits for each image: K times the squared length of the
    gradient along a direction that is uniform on the sphere has the norm as its mean. Costs one more backward pass,
    and a backward pass through both.

    Args:
        network: pixels to logits. Batch norms tie the images of a batch together, and the gradient holds that too.
        pixels: (N, 3, H, W) in [0, 1].
        labels: (N,).
        generator: chooses the directions.
        weight: of the penalty, lambda in the paper; with 0 this is ``plain``.
        label_smoothing: of the cross-entropy.

    Source: Hoffman, Roberts and Yaida 2019, https://arxiv.org/abs/1908.02729, algorithm 1.
    """
    if weight == 0:
        return plain(network, pixels, labels, generator, label_smoothing=label_smoothing)
    leaf = pixels.detach().requires_grad_()
    loss, logits = plain(network, leaf, labels, generator, label_smoothing=label_smoothing)
    direction = F.normalize(torch.randn(logits.shape, generator=generator), dim=1).to(logits.device)
    (gradient,) = torch.autograd.grad((logits * direction).sum(), leaf, create_graph=True)
    squared = logits.shape[1] * gradient.flatten(1).square().sum(1).mean()
    return loss + weight / 2 * squared, logits


def base_objective(label_smoothing: float, jacobian: float) -> Objective:
    """Choose what is minimized at one picture: the cross-entropy, with a penalty on the Jacobian or without."""
    if jacobian:
        return partial(flat, weight=jacobian, label_smoothing=label_smoothing)
    return partial(plain, label_smoothing=label_smoothing)
