"""Weights and biases over a training: histograms per layer and of the whole network, and a table of figures."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from advcli.training.spectral import reshaped_norm

Kind = Literal["weight", "bias"]
NETWORK = "network"  # the row of all layers together
_ZERO_SHARE = 0.01  # of the standard deviation; a value that is smaller is near zero


@dataclass(frozen=True)
class Histogram:
    """How the weights or the biases of a layer are distributed.

    Args:
        layer: name of the module, or ``network`` for all of them together.
        kind: ``weight`` or ``bias``.
        edges: (B + 1,) of the bins, ascending.
        counts: int64 (B,); the last bin includes its upper edge.
    """

    layer: str
    kind: Kind
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class ParameterFigures:
    """Figures about the weights or the biases of a layer.

    Args:
        layer: name of the module, or ``network``.
        kind: ``weight`` or ``bias``.
        count: number of values.
        mean: of the values.
        std: their standard deviation, divided by the count.
        skewness: third moment about the mean over std cubed; none where the values are all the same.
        kurtosis: fourth moment about the mean over std to the fourth, less 3: 0 for a normal distribution; or none.
        near_zero: share of values smaller in size than a hundredth of std.
        l2: Euclidean length.
        distance: Euclidean distance from the initial values; none where they are not known.
        spectral_norm: largest singular value of a weight as a matrix (out, ...); none for biases, norms, the network.
        stable_rank: squared Frobenius norm over squared spectral norm: 1 for one direction, at most the rank.
    """

    layer: str
    kind: Kind
    count: int
    mean: float
    std: float
    skewness: float | None
    kurtosis: float | None
    near_zero: float
    l2: float
    distance: float | None
    spectral_norm: float | None
    stable_rank: float | None


def histograms(network: nn.Module, bins: int = 100) -> list[Histogram]:
    """Count the values of every layer's weights and biases, and of all together.

    Args:
        network: whose parameters called ``weight`` and ``bias`` are counted; layers without trainable ones do not
            appear.
        bins: of each histogram, of equal width from the smallest to the largest value.

    Returns:
        One per layer and kind in the order of the network, then two of the whole network.
    """
    found = []
    for layer, kind, values in _parameters(dict(network.named_parameters())):
        counts, edges = np.histogram(_flat(values), bins=bins)
        found.append(Histogram(layer, kind, edges, counts))
    return found


def parameter_table(network: nn.Module, initial: Mapping[str, Tensor] | None = None) -> list[dict[str, object]]:
    """Measure every layer's weights and biases, and all together.

    Args:
        network: whose parameters called ``weight`` and ``bias`` are measured.
        initial: state dict of the network before its training.

    Returns:
        ``ParameterFigures`` as rows of a table, in the order of ``histograms``.
    """
    before = {(layer, kind): values for layer, kind, values in _parameters(initial or {})}
    rows = _parameters(dict(network.named_parameters()))
    return [asdict(_figures(layer, kind, values, before.get((layer, kind)))) for layer, kind, values in rows]


def _parameters(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Kind, Tensor]]:
    """Yield layer, kind and values: each layer's own shape, and everything of a kind in one row at the end."""
    kinds: tuple[Kind, Kind] = ("weight", "bias")
    for name, values in state.items():
        layer, _, kind = name.rpartition(".")
        if kind in kinds:
            yield layer, kind, values.detach()
    for kind in kinds:
        all_values = [values.detach().flatten() for name, values in state.items() if name.rpartition(".")[2] == kind]
        if all_values:
            yield NETWORK, kind, torch.cat(all_values)


def _figures(layer: str, kind: Kind, values: Tensor, before: Tensor | None) -> ParameterFigures:
    flat = _flat(values)
    mean, std = float(flat.mean()), float(flat.std())
    scaled = (flat - mean) / std if std > 0 else None
    l2 = float(np.linalg.norm(flat))
    norm = reshaped_norm(values) if values.ndim > 1 else None
    return ParameterFigures(
        layer=layer,
        kind=kind,
        count=flat.size,
        mean=mean,
        std=std,
        skewness=None if scaled is None else float((scaled**3).mean()),
        kurtosis=None if scaled is None else float((scaled**4).mean()) - 3,
        near_zero=float((np.abs(flat) < _ZERO_SHARE * std).mean()),
        l2=l2,
        distance=None if before is None else float(np.linalg.norm(flat - _flat(before))),
        spectral_norm=norm,
        stable_rank=(l2 / norm) ** 2 if norm else None,
    )


def _flat(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().flatten().numpy()
