"""The attention of a transformer: found by a probing pass, kept while it runs, followed back to the picture."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advcli.errors import UsageError
from advcli.models.attending import Attending
from advcli.models.classifier import Classifier
from advcli.models.layers import zero_head
from advcli.models.probing import probe_pixels, token_grid

_HINT = "use a method that needs none, such as gradient or smoothgrad"
_WINDOWED = ("ShiftedWindowAttention", "ShiftedWindowAttentionV2")  # of torchvision's Swin transformers


@dataclass(frozen=True)
class Attention:
    """One layer of attention among the places of a picture.

    Args:
        name: under which a view keeps its weights, (N, windows, heads, L, L).
        heads: their number.
        length: tokens that attend to each other, L.
        height: of the map that the places form.
        width: of the map.
        prefix: tokens before those of the picture (class token, registers).
        window: height and width of the windows inside which tokens attend to each other; none where all do.
        shift: by which the map is rolled up and to the left before it is cut into windows.
    """

    name: str
    heads: int
    length: int
    height: int
    width: int
    prefix: int = 0
    window: tuple[int, int] | None = None
    shift: tuple[int, int] = (0, 0)

    def back(self, relevance: Tensor, attention: Tensor) -> Tensor:
        """Take the relevance of tokens behind the layer to the tokens that they attend to.

        Args:
            relevance: (1, prefix + height * width).
            attention: (1, windows, L, L), of each token (row) to each (column).

        Returns:
            (1, prefix + height * width): relevance times attention.
        """
        return self.joined((self.cut(relevance)[:, :, None] @ attention)[:, :, 0])

    def cut(self, tokens: Tensor) -> Tensor:
        """Sort one number for each token (1, prefix + height * width) into the windows: (1, windows, L)."""
        if self.window is None:
            return tokens[:, None]
        (high, wide), (rows, columns) = self.window, self._padded
        places = F.pad(tokens.view(1, self.height, self.width), (0, columns - self.width, 0, rows - self.height))
        places = places.roll((-self.shift[0], -self.shift[1]), (1, 2))
        places = places.view(1, rows // high, high, columns // wide, wide).transpose(2, 3)
        return places.reshape(1, -1, high * wide)

    def joined(self, windows: Tensor) -> Tensor:
        """Put back what ``cut`` sorted; what stands beside the picture's places is dropped."""
        if self.window is None:
            return windows[:, 0]
        (high, wide), (rows, columns) = self.window, self._padded
        places = windows.view(1, rows // high, columns // wide, high, wide).transpose(2, 3)
        places = places.reshape(1, rows, columns).roll(self.shift, (1, 2))
        return places[:, : self.height, : self.width].reshape(1, -1)

    @property
    def windows(self) -> int:
        """How many windows there are; one where there are none."""
        rows, columns = self._padded if self.window else (1, 1)
        return rows * columns // math.prod(self.window or (1, 1))

    @property
    def _padded(self) -> tuple[int, int]:
        assert self.window is not None  # only asked for where there are windows
        high, wide = self.window
        return -(-self.height // high) * high, -(-self.width // wide) * wide


@dataclass(frozen=True)
class Transformer:
    """What is known of a network whose layers of attention follow each other.

    Args:
        layers: in the order in which the network runs them.
        start: (1, tokens) of the last layer, the share that each token has in what the head reads: all of it in the
            class token, or the same for every place.
    """

    layers: tuple[Attention, ...]
    start: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Of the layers."""
        return tuple(layer.name for layer in self.layers)


_KNOWN: "WeakKeyDictionary[Classifier, Transformer]" = WeakKeyDictionary()


def transformer_of(classifier: Classifier) -> Transformer:
    """Find the layers of attention of a network, once.

    Raises:
        UsageError: it has none, or they cannot be followed from one to the next.
    """
    if classifier not in _KNOWN:
        _KNOWN[classifier] = _probe(classifier)
    return _KNOWN[classifier]


def no_attention(classifier: Classifier) -> str | None:
    """Say why the attention of a network cannot be followed; none where it can."""
    try:
        transformer_of(classifier)
    except UsageError as error:
        return f"{error.message}: {error.hint}"
    return None


def attending(transformer: Transformer) -> Callable[[list[dict[str, Tensor]]], Attending]:
    """Give what a ``View`` takes as ``around``: it keeps the weights of all layers under their names."""

    def around(runs: list[dict[str, Tensor]]) -> Attending:
        def keep(weights: Tensor) -> Tensor:
            layer = transformer.layers[sum(name in runs[-1] for name in transformer.names)]
            kept = weights.reshape(-1, layer.windows, layer.heads, layer.length, layer.length).clone()
            runs[-1][layer.name] = kept
            return kept.reshape(weights.shape)

        return Attending(keep)

    return around


def _probe(classifier: Classifier) -> Transformer:
    model, seen = classifier.card.name, list[tuple[Tensor, nn.Module | None, tuple[int, ...]]]()
    with torch.enable_grad(), _inside_windows(classifier.network) as inside:

        def keep(weights: Tensor) -> Tensor:
            seen.append((weights, *(inside[-1] if inside else (None, ()))))
            return weights

        with Attending(keep) as mode:
            logits = classifier.network(probe_pixels(classifier))
    if mode.others:
        raise UsageError(f"a part of the attention of {model} is of a kind that cannot be followed", _HINT)
    if not seen:
        raise UsageError(f"{model} has no attention that can be read", _HINT)
    layers = tuple(_layer(place, *one, classifier) for place, one in enumerate(seen))
    for before, after in pairwise(layers):
        if (after.height, after.width) not in _next_grids(before) or before.prefix != after.prefix:
            raise UsageError(f"the attention of {model} cannot be followed from layer to layer", _HINT)
    (gradient,) = torch.autograd.grad(logits.square().sum(), [seen[-1][0]], allow_unused=True)
    last = layers[-1]
    if gradient is None or not gradient.any():
        head = zero_head(classifier.network)
        why = "" if head is None else f", because the weights of its head {head} are all zero"
        raise UsageError(f"no logit of {model} depends on its attention{why}", _HINT)
    rows = gradient.abs().reshape(1, -1, last.heads, last.length, last.length).sum((2, 4)) > 0  # (1, windows, L)
    read = last.joined(rows.double())
    return Transformer(layers, read / read.sum())


def _next_grids(layer: Attention) -> tuple[tuple[int, int], ...]:
    """The same map, or that of every two by two places merged."""
    return (layer.height, layer.width), (-(-layer.height // 2), -(-layer.width // 2))


def _layer(
    place: int, weights: Tensor, module: nn.Module | None, shape: tuple[int, ...], classifier: Classifier
) -> Attention:
    name, length = f"attention {place}", weights.shape[-1]
    if module is not None:
        window: Any = module.window_size
        (high, wide), (height, width) = window, shape
        rows, columns = -(-height // high) * high, -(-width // wide) * wide
        given: Any = module.shift_size
        shift = (0 if high >= rows else given[0], 0 if wide >= columns else given[1])
        return Attention(name, weights.shape[1], length, height, width, 0, (high, wide), shift)
    size = classifier.card.preprocessing.size
    grid = token_grid(length, size[0] / size[1])
    if grid is None or weights.ndim != 4 or weights.shape[0] != 1:
        raise UsageError(f"the attention of {classifier.card.name} is not among all places of the picture", _HINT)
    prefix, height, width = grid
    return Attention(name, weights.shape[1], length, height, width, prefix)


@contextmanager
def _inside_windows(network: nn.Module) -> Iterator[list[tuple[nn.Module, tuple[int, ...]]]]:
    """Tell which module with windows is running, and the height and width of its input (N, H, W, C)."""
    inside: list[tuple[nn.Module, tuple[int, ...]]] = []
    handles = []
    for module in network.modules():
        if type(module).__name__ in _WINDOWED:
            handles.append(
                module.register_forward_pre_hook(lambda one, inputs: inside.append((one, tuple(inputs[0].shape[1:3]))))
            )
            handles.append(module.register_forward_hook(lambda *_: (inside.pop(), None)[1]))
    try:
        yield inside
    finally:
        for handle in handles:
            handle.remove()
