"""What a network has to be for a classifier to be made of it, and the fingerprint it is known by."""

import hashlib

import torch
from torch import Tensor, nn

from advcli.errors import ModelError
from advcli.models.card import Card


def probe(card: Card) -> Tensor:
    """Two pictures of noise of the network's input size, always the same."""
    return torch.rand(2, 3, *card.preprocessing.size, generator=torch.Generator().manual_seed(0))


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def check_output(network: nn.Module, pixels: Tensor, card: Card) -> None:
    """Refuse a network whose output for a probe is not (N, K), K the number of class names.

    Raises:
        ModelError: the output is something else, or the network fails.
    """
    with torch.no_grad():
        try:
            output = network(pixels)
        except Exception as error:  # the network's own code may fail in any way
            height, width = card.preprocessing.size
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{card.name} does not take {height} x {width} pixels: {why}", "give its input size with --size"
            ) from error
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"{card.name} gives {shape}, not logits (N, K)",
            "wrap it so that it returns logits: --model file.py:function",
        )
    if output.shape[1] != len(card.classes):
        raise ModelError(
            f"{card.name} has {output.shape[1]} logits but {len(card.classes)} class names", "give --classes FILE"
        )


def finite(logits: Tensor) -> Tensor:
    """Give logits back; refuse those that are not finite.

    Raises:
        ModelError: one is not.
    """
    if not torch.isfinite(logits).all():
        raise ModelError("the network's logits are not finite", "check the weights, or use --precision fp32")
    return logits
