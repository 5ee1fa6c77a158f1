"""Pictures with a covered window at a lower price: of every layer, only what the window can reach is computed anew.

Outside of that a layer gives what it gave for the whole picture. A layer without a rule here is computed whole.
"""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from advcli.core.shapes import Logits, Pixels
from advcli.models.admission import finite, probe
from advcli.models.classifier import Classifier
from advcli.models.folding import Folded

ALIKE = 1e-5  # of the largest logit: by more the logits must not differ from those of whole passes
_LARGE = 64 * 64  # pixels, up to which cutting out and putting back takes as long as the layers
_TOGETHER = 16  # windows that are computed at once
_POINTWISE = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.BatchNorm2d, nn.Identity, nn.Dropout, Folded)
_POINTWISE_CALLS = (F.relu, torch.relu, F.relu6, F.silu, F.gelu, F.hardswish)
_SUMS = (operator.add, operator.iadd, torch.add)
_NONE = torch.zeros(2, dtype=torch.int64)


@dataclass(frozen=True)
class Patches:
    """The outputs of a layer for M windows: those for the whole picture, but in one patch each.

    Args:
        clean: (C, H, W), for the whole picture.
        values: (M, C, h, w), in the patches.
        corners: (M, 2), top and left of each patch.
    """

    clean: Tensor
    values: Tensor
    corners: Tensor

    @property
    def ends(self) -> Tensor:
        """Bottom and right of each patch, (M, 2)."""
        return self.corners + torch.tensor(self.values.shape[2:])

    def cut(self, corners: Tensor, size: Tensor, margin: Tensor = _NONE, beyond: float = 0.0) -> Tensor:
        """Cut (M, C, *size) out of the outputs and a margin of one value around them, from whose corner is counted."""
        (down, across), (high, wide) = margin.tolist(), size.tolist()
        cut = _cuts(F.pad(self.clean, (across, across, down, down), value=beyond), corners, size)
        for one, values, (y, x) in zip(cut, self.values, (self.corners + margin - corners).tolist(), strict=True):
            inside = values[:, max(0, -y) : max(0, high - y), max(0, -x) : max(0, wide - x)]
            y, x = max(0, y), max(0, x)
            one[:, y : y + inside.shape[1], x : x + inside.shape[2]] = inside
        return cut

    def whole(self) -> Tensor:
        """Give all outputs, (M, C, H, W)."""
        return self.cut(0 * self.corners, torch.tensor(self.clean.shape[1:]))


def reachable(classifier: Classifier, places: Tensor) -> fx.GraphModule | None:
    """Trace a network, and check on a picture of its own that patches lead to its logits.

    Args:
        classifier: what looks.
        places: (M, 4) of the windows: top, bottom, left, right.

    Returns:
        The traced network; none where nothing is gained, it cannot be traced, or its logits come out otherwise.
    """
    if math.prod(classifier.card.preprocessing.size) <= _LARGE:
        return None
    few = places[[0, len(places) // 2, -1]]
    pixels = probe(classifier.card)[:1].to(classifier.device)
    covered = pixels.repeat(len(few), 1, 1, 1)
    for one, (top, bottom, left, right) in zip(covered, few.tolist(), strict=True):
        one[:, top:bottom, left:right] = 0
    expected = classifier.look(covered, gradient=False).logits
    try:
        traced = _traced(classifier.network)
        found = torch.cat([logits for _, logits in looks(classifier, traced, pixels, 0 * pixels, few)])
    except Exception:  # noqa: BLE001  tracing runs the network's own code on stand-ins, which may fail in any way
        return None
    return traced if bool((found - expected).abs().max() <= ALIKE * expected.abs().max()) else None


def looks(
    classifier: Classifier, traced: fx.GraphModule, pixels: Pixels, cover: Pixels, places: Tensor
) -> Iterator[tuple[list[int], Logits]]:
    """Look at one picture with one window after the other covered.

    Args:
        classifier: what looks.
        traced: its network, of ``reachable``.
        pixels: (1, 3, H, W).
        cover: (1, 3, H, W), what the windows show.
        places: (M, 4) of the windows: top, bottom, left, right.

    Yields:
        Indices of some windows, and their logits.

    Raises:
        ModelError: a logit is not finite.
    """
    seen, filling = (classifier.normalize(one).contiguous(memory_format=torch.channels_last) for one in (pixels, cover))
    with torch.no_grad():
        (recording := _Recording(traced)).run(seen)
    for indices in torch.arange(len(places)).tensor_split(-(-len(places) // _TOGETHER)):
        windows = places[indices].cpu()
        corners, size = _fitted(windows[:, ::2], windows[:, 1::2], seen[0])
        with torch.no_grad():
            values = _cuts(seen[0], corners, size)
            for one, (y, x), (top, bottom, left, right) in zip(values, corners.tolist(), windows.tolist(), strict=True):
                one[:, top - y : bottom - y, left - x : right - x] = filling[0, :, top:bottom, left:right]
            logits = _Reaching(traced, recording.outputs).run(Patches(seen[0], values, corners))
        yield indices.tolist(), finite(logits)


_traced = lru_cache(maxsize=1)(fx.symbolic_trace)


class _Recording(fx.Interpreter):
    """Runs a traced network, and keeps what each layer gave."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.outputs: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        found = super().run_node(n)
        self.outputs[n] = found.clone() if isinstance(found, Tensor) else found  # a later layer may work in place
        return found


class _Reaching(fx.Interpreter):
    """Runs a traced network on patches, given what its layers gave for the whole picture."""

    def __init__(self, network: fx.GraphModule, outputs: dict[fx.Node, Any]) -> None:
        super().__init__(network)
        self._outputs = outputs

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        clean = self._outputs[n]
        if isinstance(clean, Tensor) and clean.ndim == 4 and args and all(isinstance(one, Patches) for one in args):
            what = self.submodules[str(n.target)] if n.op == "call_module" else n.target
            found = _by_rule(what, args, kwargs, clean[0])
            if found is not None:
                return found if found.values.shape[1:] != found.clean.shape else found.values
        args, kwargs = map_aggregate((args, kwargs), lambda one: one.whole() if isinstance(one, Patches) else one)
        return getattr(self, n.op)(n.target, args, kwargs)


def _by_rule(what: Any, args: Sequence[Patches], kwargs: dict[str, Any], clean: Tensor) -> Patches | None:
    """Compute what a layer makes of patches; none where there is no rule."""
    first = args[0]
    if isinstance(what, _POINTWISE) or what in _POINTWISE_CALLS:
        return Patches(clean, what(first.values, **kwargs), first.corners)
    if isinstance(what, nn.Conv2d) and what.padding_mode == "zeros" and not isinstance(what.padding, str):
        slide = partial(F.conv2d, weight=what.weight, bias=what.bias, groups=what.groups)
        return _slid(first, what, clean, slide, 0.0)
    if isinstance(what, nn.MaxPool2d) and not what.ceil_mode and not what.return_indices:
        return _slid(first, what, clean, partial(F.max_pool2d, kernel_size=what.kernel_size), -math.inf)
    if what in _SUMS and not kwargs and all(one.clean.shape == clean.shape for one in args):
        firsts, ends = torch.stack([one.corners for one in args]), torch.stack([one.ends for one in args])
        corners, size = _fitted(firsts.amin(0), ends.amax(0), clean)
        return Patches(clean, what(*(one.cut(corners, size) for one in args)), corners)
    return None


def _slid(patches: Patches, layer: nn.Module, clean: Tensor, slide: Callable[..., Tensor], beyond: float) -> Patches:
    """Slide a convolution or a pooling over what reads the patches; ``beyond`` is what the layer pads with."""
    kernel, stride, padding, dilation = (
        torch.tensor(getattr(layer, name)).expand(2) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    reach = (kernel - 1) * dilation
    firsts, lasts = -((reach - padding - patches.corners) // stride), (patches.ends + padding - 1) // stride
    corners, size = _fitted(firsts, lasts + 1, clean)
    cut = patches.cut(corners * stride, (size - 1) * stride + reach + 1, padding, beyond)
    return Patches(clean, slide(cut, stride=stride.tolist(), dilation=dilation.tolist()), corners)


def _fitted(firsts: Tensor, ends: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
    """Give corners and size of spans, all of one size, that hold those from ``firsts`` to ``ends`` of an output."""
    length = torch.tensor(clean.shape[1:])
    firsts = firsts.clamp(min=0)
    size = (ends.minimum(length) - firsts).amax(0).clamp(min=1)
    return firsts.minimum(length - size), size


def _cuts(values: Tensor, corners: Tensor, size: Tensor) -> Tensor:
    high, wide = size.tolist()
    cuts = torch.stack([values[:, top : top + high, left : left + wide] for top, left in corners.tolist()])
    return cuts.contiguous(memory_format=torch.channels_last)
