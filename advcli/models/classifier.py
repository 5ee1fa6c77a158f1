"""The classifier: pixels in [0, 1] to logits, held to one contract, and shown to the network in blocks.

A network's kernels are chosen by the batch size, so the last bits of a row can depend on how many rows stand beside
it, and the sign of a gradient turns a last bit into 2 eps. Measured on a CPU, a row's logits and gradients are the
same to the bit for every batch of 16 rows or more, in any place and beside any neighbours. So the network is never
shown fewer than ``block`` rows: a short batch is filled up with repeats. On other devices, where the whole shape
chooses the kernel, every block has exactly ``block`` rows.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advcli.core.choices import Precision
from advcli.core.precision import wide
from advcli.core.shapes import Logits, Pixels
from advcli.errors import ContractError
from advcli.models.admission import check_output, fingerprint, finite, probe
from advcli.models.card import Card
from advcli.models.folding import fold
from advcli.models.looking import Block, Front, Look
from advcli.models.sweep import Make, Part, sweep

SMALLEST_STEADY = 16  # rows from which a CPU's kernels no longer change with the batch size
# Of the largest logit: more than batch size, thread count or device changed it by on the networks that were measured.
CERTAIN = 1e-4
_LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Pixels of a block on a CPU. Measured on a ResNet-20 with two cores, forward and backward of 256 rows of 32 x 32: 273
# to 306 ms in blocks of 64, 249 in blocks of 128 or 256.
_CHUNK_PIXELS = 128 * 32 * 32
_SMALL = 64 * 64  # pixels, up to which photographs in their own size are shown in blocks


class Classifier:
    """A frozen network in evaluation mode, with its normalization inside.

    Args:
        network: normalized pixels to logits; copied where batch norms are folded, otherwise frozen in place.
        card: its description.
        device: where to compute.
        precision: of the passes that search (``look``); the passes that judge (``logits``) are always fp32.
        block: rows the network is shown at least (CPU, 16 or more) or exactly (1 to 15, and other devices).

    Attributes:
        fingerprint: SHA-256 of the weights as loaded.
        folded: number of batch norms folded away.
        certainty: share of the largest logit by which a picture must be misclassified as saved to count: one that is
            misclassified by less might not be on the next machine. ``CERTAIN``, or more where folding moves logits
            further.
        drift: largest difference that folding made to a logit of a photograph, as a share of its largest logit; 0
            where it was not measured.
        samples: passes that stand for one, see ``expected``; 1 for a network whose answers do not change.

    Raises:
        ModelError: the network's output is not (N, K) with K the number of class names.
    """

    def __init__(
        self,
        network: nn.Module,
        card: Card,
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "fp32",
        block: int = SMALLEST_STEADY,
    ) -> None:
        self.card = card
        self.device = torch.device(device)
        self.precision = precision
        self.block = block
        self.certainty = CERTAIN
        self.drift = 0.0
        self.samples = 1
        self.fingerprint = fingerprint(network)
        shape = (-1, 1, 1)
        self._mean = torch.tensor(card.preprocessing.mean, device=self.device).view(shape)
        self._std = torch.tensor(card.preprocessing.std, device=self.device).view(shape)
        network = network.eval().to(self.device)
        for parameter in network.parameters():  # one by one: TorchScript has no requires_grad_ for a whole module
            parameter.requires_grad = False
        sample = self.normalize(probe(card).to(self.device))
        check_output(network, sample, card)
        self.network, self.folded = fold(network, sample)
        self.network = self.network.to(memory_format=torch.channels_last)
        self._low: nn.Module | None = None
        self._front: Front | None = None

    def logits(self, pixels: Pixels) -> Logits:
        """Judge pixels: fp32 logits, no gradient.

        Args:
            pixels: float32 (N, 3, H, W) in [0, 1] at the network's input size, N >= 1.

        Raises:
            ContractError: pixels are outside [0, 1] or of another size.
            ModelError: a logit is not finite.
        """
        self._check(pixels)
        with torch.no_grad():
            seen = pixels if self._front is None else self._front.read(pixels)
            parts = [self._judged(filled)[:count] for filled, count in self._blocks(seen)]
        return finite(torch.cat(parts))

    def look(
        self,
        pixels: Pixels,
        *,
        gradient: bool = True,
        bounded: bool = True,
        together: bool = False,
    ) -> Look:
        """Run the network in the search precision.

        Args:
            pixels: as for ``logits``.
            gradient: keep what a gradient needs.
            bounded: refuse pixels outside [0, 1].
            together: show the network all rows at once, as they are, whatever ``block`` is.

        Raises:
            ContractError: pixels are outside [0, 1] or of another size.
            ModelError: a logit is not finite.
        """
        self._check(pixels, bounded=bounded)
        blocks = []
        for filled, count in [(pixels.detach().clone(), len(pixels))] if together else self._blocks(pixels):
            leaf = filled.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient), self._search_precision():
                seen = leaf if self._front is None else self._front(leaf)
                passes = [self._search(seen).float() for _ in range(self.samples)]
                logits = passes[0] if self.samples == 1 else torch.stack(passes).mean(0)
            blocks.append(Block(leaf, logits, count))
        again = None if together or not gradient else partial(self.look, bounded=bounded)
        look = Look(blocks, again, self.block)
        finite(look.logits)
        return look

    def with_network(self, network: nn.Module) -> "Classifier":
        """Give a classifier that differs in its network alone, which has to fit what is known of this one."""
        other = copy.copy(self)
        other.network, other._low = network, None  # noqa: SLF001  a copy of this very classifier
        return other

    def in_fp32(self) -> "Classifier":
        """Give a classifier that differs only in that its ``look`` is in fp32, too."""
        other = copy.copy(self)
        other.precision = "fp32"
        return other

    def behind(self, front: Front, card: Card) -> "Classifier":
        """Give a classifier of pictures of another size, which go through ``front`` before this one sees them.

        Args:
            front: from those pictures to this one's input.
            card: with their size.
        """
        other = copy.copy(self)
        _ = self.searched  # copied along with the network, whose input it has
        other._low, other._front, other.card = self._low, front, card  # noqa: SLF001  a copy of this very classifier
        # Pictures of many sizes share no pass, and one of them may be a hundred times the network's input.
        other.block = 1 if math.prod(card.preprocessing.size) > _SMALL else self.block
        return other

    def expected(self, samples: int) -> "Classifier":
        """Give a classifier that takes the expectation over this one's randomness.

        What ``look`` gives is the mean of the logits of so many passes, and its gradient that of the mean. ``logits``
        gives the logarithm of the mean of the classes' probabilities, over passes of its own.

        Args:
            samples: passes.

        Source: Athalye et al. 2018, https://arxiv.org/abs/1802.00420, section 4.1.2 (expectation over transformation).
        """
        other = copy.copy(self)
        other.samples = samples
        return other

    def normalize(self, pixels: Tensor) -> Tensor:
        """Turn pixels in [0, 1] into what the network was trained on."""
        return (pixels - self._mean) / self._std

    def sweep(
        self, pixels: Pixels, count: int, make: Make, *, bounded: bool = True, graph: bool = True
    ) -> Iterator[Part]:
        """Look at ``count`` versions of every image; see ``models/sweep.py``."""
        return sweep(self, pixels, count, make, bounded=bounded, graph=graph)

    @property
    def batch_size(self) -> int:
        """Rows that the network is best shown together."""
        height, width = self.card.preprocessing.size
        return max(self.block, _CHUNK_PIXELS // (height * width)) if self.device.type == "cpu" else self.block

    @property
    def searched(self) -> nn.Module:
        """The network that ``look`` runs: ``network``, or its copy in bf16 where it works in that precision.

        A copy spares the conversion of all weights in every pass that autocast makes for frozen ones: the forward pass
        of a ResNet-20 takes half as long. fp16 has too small a range for a network that is not made for it.
        """
        if self.precision != "bf16":
            return self.network
        if self._low is None:
            self._low = _in_bf16(self.network, self.normalize(probe(self.card).to(self.device))) or self.network
        return self._low

    def _judged(self, pixels: Tensor) -> Tensor:
        if self.samples == 1:
            return self._forward(pixels)
        passes = torch.stack([F.log_softmax(wide(self._forward(pixels)), 1) for _ in range(self.samples)])
        return (torch.logsumexp(passes, 0) - math.log(self.samples)).float()

    def _search(self, pixels: Tensor) -> Tensor:
        if self.searched is self.network:
            return self._forward(pixels)
        low = self.normalize(pixels).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        return self.searched(low)  # type: ignore[no-any-return]

    def _forward(self, pixels: Tensor) -> Tensor:
        return self.network(self.normalize(pixels).contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def _search_precision(self) -> AbstractContextManager[object]:
        low = _LOW.get(self.precision)
        return (
            nullcontext() if low is None or self.searched is not self.network else torch.autocast(self.device.type, low)
        )

    def _blocks(self, pixels: Tensor) -> Iterator[tuple[Tensor, int]]:
        """Yield (rows for the network, how many of them are real)."""
        for part in torch.split(pixels.detach(), self._sizes(len(pixels))):
            short = self.block - len(part)
            repeats = part[torch.arange(max(short, 0), device=part.device) % len(part)]
            yield torch.cat([part, repeats]), len(part)

    def _sizes(self, count: int) -> list[int]:
        exact = self.device.type != "cpu" or self.block < SMALLEST_STEADY
        if exact:
            return [min(self.block, count - start) for start in range(0, count, self.block)]
        # As many parts as suit the network, but none smaller than a block where that can be.
        parts = max(1, min(-(-count // self.batch_size), count // self.block))
        return [count // parts + (place < count % parts) for place in range(parts)]

    def _check(self, pixels: Tensor, *, bounded: bool = True) -> None:
        expected = (3, *self.card.preprocessing.size)
        found = tuple(pixels.shape)
        if found[1:] != expected or not found[0]:
            raise ContractError(f"the classifier takes pixels (N, {', '.join(map(str, expected))}), not {found}")
        if not bounded:
            return
        low, high = pixels.aminmax()
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise ContractError(f"the classifier takes pixels in [0, 1], not [{float(low):.4g}, {float(high):.4g}]")


def _in_bf16(network: nn.Module, probe: Tensor) -> nn.Module | None:
    """Copy a network in bf16; none where its code does not work in that precision."""
    try:
        low = copy.deepcopy(network).to(torch.bfloat16)
        with torch.no_grad():
            logits = low(probe.to(torch.bfloat16).contiguous(memory_format=torch.channels_last))
    except Exception:  # noqa: BLE001  the network's own code may fail in any way, and autocast remains
        return None
    return low if torch.isfinite(logits).all() else None
