"""The classifier: pixels in [0, 1] to logits, held to one contract, and shown to the network in blocks.

A network's kernels are chosen by the batch size, so the last bits of a row can depend on how many rows stand beside
it, and the sign of a gradient turns a last bit into 2 eps. Measured on a CPU, a row's logits and gradients are the
same to the bit for every batch of 16 rows or more, in any place and beside any neighbours. So the network is never
shown fewer than ``block`` rows: a short batch is filled up with repeats. On other devices, where the whole shape
chooses the kernel, every block has exactly ``block`` rows.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
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
from advcli.models.blocks import exact_sizes, filled, sizes
from advcli.models.card import Card
from advcli.models.folding import fold
from advcli.models.lanes import Each, lanes, one_by_one, side_by_side
from advcli.models.looking import Block, Front, Look, gradients
from advcli.models.low_precision import in_bf16
from advcli.models.sweep import Make, Part, sweep

SMALLEST_STEADY = 16  # rows from which a CPU's kernels no longer change with the batch size
# Of the largest logit: more than batch size, thread count or device changed it by on the networks that were measured.
CERTAIN = 1e-4
_LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Pixels of a block on a CPU where blocks are computed one after another, and where side by side, as measured on a
# ResNet-20 with two cores, forward and backward of 256 rows of 32 x 32.
_CHUNK_PIXELS = 128 * 32 * 32
_LANE_PIXELS = 64 * 32 * 32
_SMALL = 64 * 64  # pixels, up to which photographs in their own size are shown in blocks
_FEW_CORES = 4


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
        self._side_by_side: bool | None = None  # whether blocks may be; None as long as nobody looked

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
            blocks, each = self._blocks(seen)

        def judged(block: tuple[Tensor, int]) -> Tensor:
            with torch.no_grad():
                return self._judged(block[0])[: block[1]]

        return finite(torch.cat(each(judged, blocks)))

    def look(
        self,
        pixels: Pixels,
        *,
        gradient: bool = True,
        bounded: bool = True,
        sizes: Sequence[int] | None = None,
    ) -> Look:
        """Run the network in the search precision.

        Args:
            pixels: as for ``logits``.
            gradient: keep what a gradient needs.
            bounded: refuse pixels outside [0, 1].
            sizes: of the blocks that the network is shown, as they are, whatever ``block`` is.

        Raises:
            ContractError: pixels are outside [0, 1] or of another size.
            ModelError: a logit is not finite.
        """
        self._check(pixels, bounded=bounded)
        blocks, each = self._blocks(pixels, sizes)
        again = partial(self.look, bounded=bounded) if gradient and sizes is None else None
        look = Look(each(partial(self._shown, gradient=gradient), blocks), again, self.block, each)
        finite(look.logits)
        return look

    def with_network(self, network: nn.Module) -> "Classifier":
        """Give a classifier that differs in its network alone, which has to fit what is known of this one."""
        other = copy.copy(self)
        other.network, other._low, other._side_by_side = network, None, None  # noqa: SLF001  a copy of this very one
        return other

    def in_fp32(self) -> "Classifier":
        """Give a classifier that differs only in that its ``look`` is in fp32, too."""
        other = copy.copy(self)
        other.precision = "fp32"
        other._side_by_side = None  # noqa: SLF001  a copy of this very one
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
        return (lanes := self.lanes) * self._best(lanes) if self.device.type == "cpu" else self.block

    @property
    def lanes(self) -> int:
        """Blocks that are computed at the same time, see ``models/lanes.py``."""
        # Blocks of photographs take much memory: on many cores they go through one after another.
        large = math.prod(self.card.preprocessing.size) > _SMALL and torch.get_num_threads() > _FEW_CORES
        alone = large or self.device.type != "cpu" or self.samples > 1 or self._front is not None
        return 1 if alone or self._side_by_side is False else min(map(lanes, {self.network, self.searched}))

    @property
    def searched(self) -> nn.Module:
        """The network that ``look`` runs: ``network``, or its copy in bf16 where it works in that precision.

        A copy spares the conversion of all weights in every pass that autocast makes for frozen ones: the forward pass
        of a ResNet-20 takes half as long. fp16 has too small a range for a network that is not made for it.
        """
        if self.precision != "bf16":
            return self.network
        if self._low is None:
            self._low = in_bf16(self.network, self.normalize(probe(self.card).to(self.device))) or self.network
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

    def _shown(self, block: tuple[Tensor, int], *, gradient: bool) -> Block:
        leaf = block[0].requires_grad_(gradient)
        with torch.set_grad_enabled(gradient), self._search_precision():
            seen = leaf if self._front is None else self._front(leaf)
            passes = [self._search(seen).float() for _ in range(self.samples)]
            logits = passes[0] if self.samples == 1 else torch.stack(passes).mean(0)
        return Block(leaf, logits, block[1])

    def _blocks(self, pixels: Tensor, given: Sequence[int] | None = None) -> tuple[Iterable[tuple[Tensor, int]], Each]:
        """Divide rows into what the network is shown, with the number of real ones, and say how to go through it."""
        if given is not None:
            parts = [(part.clone(), len(part)) for part in torch.split(pixels.detach(), list(given))]
            return parts, side_by_side if len(parts) >= self.lanes > 1 else one_by_one
        lanes = self.lanes if len(pixels) > self.block else 1
        divided = self._sizes(len(pixels), lanes)
        if len(divided) >= lanes > 1 and self._side_by_side is None:
            self._side_by_side = self._is_steady(pixels[: divided[0]])
        if self._side_by_side is False:
            lanes, divided = 1, self._sizes(len(pixels), 1)
        return filled(pixels, divided, self.block), side_by_side if len(divided) >= lanes > 1 else one_by_one

    def _sizes(self, count: int, lanes: int) -> list[int]:
        if self.device.type != "cpu" or self.block < SMALLEST_STEADY:
            return exact_sizes(count, self.block)
        return sizes(count, least=self.block, best=self._best(lanes), lanes=lanes)

    def _best(self, lanes: int) -> int:
        height, width = self.card.preprocessing.size
        return max(self.block, (_CHUNK_PIXELS if lanes == 1 else _LANE_PIXELS) // (height * width))

    def _is_steady(self, pixels: Tensor) -> bool:
        """Whether one core gives the logits and gradients that all cores give, to the bit; kernels need not."""

        def answer(rows: Tensor) -> list[Tensor]:
            block = self._shown((rows.detach().clone(), len(rows)), gradient=True)
            found = [block.logits.detach()]
            if block.logits.requires_grad:
                found += gradients(block.logits, [block.pixels], torch.ones_like(block.logits))
            with torch.no_grad():
                return [*found, self._judged(rows)]

        here, there = one_by_one(answer, [pixels])[0], side_by_side(answer, [pixels])[0]
        return all(map(torch.equal, here, there))

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
