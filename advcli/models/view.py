"""One batch of pixels under one classifier, with what several attributions share, each part computed once."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from advcli.core.precision import wide
from advcli.core.shapes import Logits, Pixels
from advcli.models.looking import Block, Look, gradients

if TYPE_CHECKING:
    from advcli.models.classifier import Classifier

Keeper = Callable[[list[dict[str, Tensor]]], AbstractContextManager[object]]
_PIXELS = ""  # no module but the network itself has this name


class View:
    """Logits, gradients and activations of a batch; nothing is computed before it is asked for.

    The first reading makes one forward pass. The first gradient for a cotangent makes one backward pass, which gives
    the gradients at all watched modules and, if ``gradient`` is set, at the pixels. The gradients of the latest
    cotangent are kept, and forgotten when another one comes.

    Everything is given in float64 (float32 where the device has none) on the classifier's device. A cotangent is scaled
    by a power of two to a largest entry in [1/2, 1) before it enters the network, row by row, and its gradient is
    scaled back in float64: a small one, such as that of a probability near 1, does not underflow in between.

    Args:
        classifier: what looks at the pixels.
        pixels: float32 (N, 3, H, W) in [0, 1].
        watch: names of modules whose outputs will be asked for.
        gradient: the gradient at the pixels will be asked for; without it a backward pass ends at the watched modules,
            and a gradient at the pixels that is asked for all the same costs another one.
        graph: keep what gradients need; without it only logits and activations can be read.
        bounded: refuse pixels outside [0, 1].
        sizes: of the blocks that the network is shown, as they are; by default the classifier's own.
        around: gives a context in which the network runs, such as one that changes how a function of torch is computed.
            It is given what ``watching`` yields, and may keep tensors there under names of its own.
        keeps: those names; they can be read like watched modules.

    Attributes:
        classifier: as given.
        pixels: as given.
    """

    _twice: ClassVar[bool] = False  # gradients keep their own graph

    def __init__(
        self,
        classifier: "Classifier",
        pixels: Pixels,
        *,
        watch: Sequence[str] = (),
        gradient: bool = False,
        graph: bool = True,
        bounded: bool = True,
        sizes: Sequence[int] | None = None,
        around: Keeper = nullcontext,
        keeps: Sequence[str] = (),
    ) -> None:
        self.classifier = classifier
        self.pixels = pixels
        self._watch = tuple(dict.fromkeys(watch))
        self._around = around
        self._expected = (*self._watch, *keeps, *([_PIXELS] if gradient else []))
        self._look = partial(classifier.look, gradient=graph, bounded=bounded, sizes=sizes)
        self._cotangent: Tensor | None = None
        self._gradients: dict[str, Tensor] = {}

    @property
    def logits(self) -> Logits:
        """Logits (N, K), float32, in the classifier's search precision."""
        return self._looked[0].logits

    def gradient(self, cotangent: Logits) -> Pixels:
        """Gradient of each row's <cotangent, logits> at its pixels.

        Args:
            cotangent: (N, K).

        Returns:
            (N, 3, H, W).
        """
        return self._gradient(_PIXELS, cotangent)

    def watched(self, name: str) -> Tensor:
        """Output of a watched module, (N, ...); of its last call where the network calls it several times."""
        look, outputs = self._looked
        parts = [kept[name][: block.count] for block, kept in zip(look.blocks, outputs, strict=True)]
        parts = parts if self._twice else [part.detach() for part in parts]
        return wide(torch.cat(parts)).contiguous()

    def watched_gradient(self, name: str, cotangent: Logits) -> Tensor:
        """Gradient of each row's <cotangent, logits> in a watched module's output; zero where it has no influence.

        Args:
            name: of the module.
            cotangent: (N, K).

        Returns:
            (N, ...), shaped like ``watched(name)``.
        """
        return self._gradient(name, cotangent)

    def close(self) -> None:
        """Free the graph and everything else that was computed; to read again is to compute again."""
        self.__dict__.pop("_looked", None)
        self._cotangent, self._gradients = None, {}

    @cached_property
    def _looked(self) -> tuple[Look, list[dict[str, Tensor]]]:
        if not self._watch and self._around is nullcontext:
            look = self._look(self.pixels)
            return look, [{} for _ in look.blocks]
        with watching(self.classifier.searched, self._watch) as outputs, self._around(outputs):
            look = self._look(self.pixels)
        return look, outputs

    def _gradient(self, name: str, cotangent: Tensor) -> Tensor:
        if self._cotangent is None or not torch.equal(cotangent, self._cotangent):
            self._cotangent, self._gradients = cotangent.clone(), {}
        if name not in self._gradients:
            names = [one for one in dict.fromkeys((*self._expected, name)) if one not in self._gradients]
            self._gradients |= self._backward(names, cotangent)
        return self._gradients[name]

    def _backward(self, names: Sequence[str], cotangent: Tensor) -> dict[str, Tensor]:
        look, outputs = self._looked
        unit, exponents = _to_one(wide(cotangent))
        cotangents = torch.split(unit, [block.count for block in look.blocks])

        def gradients_of(part: tuple[Block, dict[str, Tensor], Tensor]) -> list[Tensor]:
            block, kept, wanted = part
            leaves = [block.pixels if name == _PIXELS else kept[name] for name in names]
            found = _vjp(block, leaves, wanted, twice=self._twice)
            return [gradient[: block.count].contiguous().float() for gradient in found]

        parts = look.each(gradients_of, list(zip(look.blocks, outputs, cotangents, strict=True)))
        columns = zip(names, zip(*parts, strict=True), strict=True)
        return {name: _scaled(torch.cat(gradients), exponents) for name, gradients in columns}


@contextmanager
def watching(network: nn.Module, names: Sequence[str]) -> Iterator[list[dict[str, Tensor]]]:
    """Keep the outputs of some modules while the network runs; its hooks are afterwards as they were.

    Args:
        network: runs inside the context, any number of times.
        names: of the modules.

    Yields:
        A list that holds, for each time the network ran, the outputs by name, of each module's last call.
    """
    runs: list[dict[str, Tensor]] = []

    def keep(name: str, output: Tensor) -> Tensor:
        # The first copy, because a module may pass on its input, which others read too and whose gradient is another;
        # the second, because an in-place ReLU behind the module must not overwrite what was kept.
        runs[-1][name] = output.clone()
        return runs[-1][name].clone()

    handles = [network.register_forward_pre_hook(lambda _module, _inputs: runs.append({}))]
    try:
        for name in names:
            module = network.get_submodule(name)
            handles.append(module.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output)))
        yield runs
    finally:
        for handle in handles:
            handle.remove()


def _vjp(block: Block, leaves: Sequence[Tensor], cotangent: Tensor, *, twice: bool) -> list[Tensor]:
    full = block.logits.new_zeros(block.logits.shape)
    full[: len(cotangent)] = cotangent.to(full.dtype)  # the rest are repeats that fill the block
    return gradients(block.logits, leaves, full, twice=twice)


def _to_one(cotangent: Tensor) -> tuple[Tensor, list[int]]:
    """Scale each row by a power of two, which is exact, to a largest entry in [1/2, 1); give the exponents too."""
    least = -1000 if cotangent.dtype == torch.float64 else -120  # whose inverse is still finite
    exponents = [max(math.frexp(largest)[1], least) for largest in cotangent.abs().amax(1).tolist()]
    return _scaled(cotangent, [-exponent for exponent in exponents]), exponents


def _scaled(tensor: Tensor, exponents: Sequence[int]) -> Tensor:
    """Multiply each row by 2 ** exponent, exactly, in float64 (``torch.ldexp`` computes the power in float32)."""
    powers = wide(torch.tensor([math.ldexp(1.0, exponent) for exponent in exponents], dtype=torch.float64))
    return tensor * powers.to(wide(tensor[:0])).view(-1, *[1] * (tensor.ndim - 1))
