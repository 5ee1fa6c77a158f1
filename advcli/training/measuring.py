"""What a network gets right: loss and accuracy of labelled images, as they are or attacked, and its answers."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from advcli.training.adversarial import InnerAttack, evaluating
from advcli.training.examples import Examples
from advcli.training.together import Group


def evaluate(
    network: nn.Module,
    examples: Examples,
    device: torch.device,
    *,
    attack: InnerAttack | None = None,
    seed: int = 0,
    group: Group | None = None,
) -> tuple[float, float]:
    """Measure a network in float32 and evaluation mode.

    Args:
        network: pixels to logits, on ``device``; its mode is the same afterwards.
        examples: at least one.
        device: where to compute.
        attack: on the images before they are measured; none for the images as they are.
        seed: of the attack.
        group: processes that each measure their share.

    Returns:
        Mean cross-entropy, and share of the images that are classified as their label.
    """
    group = group or Group()
    generator = Generator().manual_seed(seed)
    loss = right = 0.0
    with evaluating(network):
        for images, labels in examples.batches(group.share(torch.arange(len(examples)))):
            pixels, wanted = images.to(device).float() / 255, labels.to(device)
            if attack is not None:
                pixels = _attacked(network, pixels, wanted, attack, generator)
            with torch.inference_mode():
                logits = network(pixels)
                loss += float(F.cross_entropy(logits, wanted, reduction="sum"))
                right += int((logits.argmax(1) == wanted).sum())
    loss, right = group.total(loss, right)
    return loss / len(examples), right / len(examples)


def answers(network: nn.Module, examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ask a network in evaluation mode.

    Args:
        network: pixels to logits, on ``device``.
        examples: at least one.
        device: where to compute.

    Returns:
        Softmax probabilities, float64 (N, K), and labels (N,), on the CPU.
    """
    batches = examples.batches(torch.arange(len(examples)))
    with evaluating(network), torch.inference_mode():
        told = [(network(images.to(device).float() / 255).cpu(), labels) for images, labels in batches]
    logits, labels = (torch.cat(part) for part in zip(*told, strict=True))
    return logits.double().softmax(1), labels


def _attacked(network: nn.Module, pixels: Tensor, labels: Tensor, attack: InnerAttack, generator: Generator) -> Tensor:
    def loss(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="sum")

    return attack(network, loss, pixels, generator)
