"""Weights and biases of a checkpoint as numbers: histograms fine enough to be drawn on any axis, and figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NETWORK = "network"  # all layers together
BINS = 2048  # so fine that they can be put together for any axis
_NEAR_ZERO = 0.01  # of the standard deviation
_CHUNK = 2**17  # values at a time, few enough for a processor's cache
_SAME = 1e-12  # of the largest value: a spread that is rounding alone


@dataclass(frozen=True)
class Parameters:
    """The weights or the biases of a layer.

    Args:
        layer: name of the module, or ``network`` for all together.
        kind: ``weight`` or ``bias``.
        counts: int64 (BINS,) of equal width from ``low`` to ``high``.
        low: smallest value.
        high: largest value.
        count: number of values.
        mean: of the values.
        std: their standard deviation, divided by the count.
        skewness: third moment about the mean over std cubed; none where the values are all the same.
        kurtosis: fourth moment over std to the fourth, less 3: 0 for a normal distribution; or none.
        near_zero: share of values smaller in size than a hundredth of std; of the network to within a bin.
        l2: Euclidean length.
        distance: Euclidean distance from the first checkpoint's values; none where there is no such.
    """

    layer: str
    kind: str
    counts: NDArray[np.int64]
    low: float
    high: float
    count: int
    mean: float
    std: float
    skewness: float | None
    kurtosis: float | None
    near_zero: float
    l2: float
    distance: float | None


def parameters_of(state: Mapping[str, Tensor], first: Mapping[str, Tensor] | None = None) -> list[Parameters]:
    """Measure every layer's weights and biases, and all together.

    Args:
        state: of a checkpoint, parametrizations undone; what is called neither weight nor bias is passed over.
        first: of the checkpoint that distances are measured from; none for no distances.

    Returns:
        In the order of the state dict, those of the whole network behind each kind.
    """
    found = []
    for kind in ("weight", "bias"):
        before = dict(_values(first, kind)) if first is not None else {}
        rows = [
            _measure(layer, kind, values, before.get(layer)) for layer, values in _values(state, kind) if len(values)
        ]
        found += rows
        if rows:
            found.append(_together(rows, kind, complete=len(before) == len(rows)))
    return found


def rebinned(parameters: Parameters, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put a histogram onto other bins, each old bin spread evenly over the new ones that it meets.

    Args:
        parameters: whose counts are taken.
        edges: (B + 1,) ascending; what lies outside counts for the outermost bins.

    Returns:
        (B,) counts, whose sum is that of the old ones.
    """
    if parameters.high <= parameters.low:
        places = np.clip(np.searchsorted(edges, parameters.low, side="right") - 1, 0, len(edges) - 2)
        return np.bincount([places], [parameters.count], len(edges) - 1).astype(np.float64)
    old = np.linspace(parameters.low, parameters.high, len(parameters.counts) + 1)
    below = np.append(0, np.cumsum(parameters.counts))
    inner = np.interp(edges[1:-1], old, below)
    return np.diff(np.concatenate([[0], inner, [below[-1]]]))


def quantile(parameters: Parameters, share: float) -> float:
    """Value below which a share of the values lies, to within a bin."""
    below = np.append(0, np.cumsum(parameters.counts))
    old = np.linspace(parameters.low, parameters.high, len(below))
    return float(np.interp(share * below[-1], below, old))


def _values(state: Mapping[str, Tensor] | None, kind: str) -> Iterator[tuple[str, Tensor]]:
    for key, values in (state or {}).items():
        module, _, last = key.rpartition(".")
        if values.is_floating_point() and (last == kind or last.endswith(f"_{kind}")):
            yield (module or key) if last == kind else key, values.detach().cpu().flatten()


def _measure(layer: str, kind: str, values: Tensor, first: Tensor | None) -> Parameters:
    low, high = float(values.min()), float(values.max())
    chunks = torch.split(values, _CHUNK)
    mean = sum(float(chunk.sum(dtype=torch.float64)) for chunk in chunks) / len(values)
    counts = np.zeros(BINS, dtype=np.int64)
    sums = np.zeros(4)  # of the second to the fourth power about the mean, and of the squares
    for chunk in chunks:
        wide = chunk.double()
        counts += _counted(wide, low, high)
        centered = wide - mean
        squares = centered * centered
        sums += (float(squares.sum()), float(squares @ centered), float(squares @ squares), float(wide @ wide))
    moments = (sums[0] / len(values), sums[1] / len(values), sums[2] / len(values))
    std = math.sqrt(moments[0])
    same = first is not None and len(first) == len(values)
    return Parameters(
        layer,
        kind,
        counts,
        low,
        high,
        len(values),
        mean,
        std,
        *_shape(moments, max(abs(low), abs(high))),
        near_zero=sum(int((chunk.abs() < _NEAR_ZERO * std).sum()) for chunk in chunks) / len(values),
        l2=math.sqrt(sums[3]),
        distance=_distance(values, first) if same and first is not None else None,
    )


def _counted(values: Tensor, low: float, high: float) -> NDArray[np.int64]:
    if high <= low:
        return np.bincount([0], [len(values)], BINS).astype(np.int64)
    places = ((values - low) * (BINS / (high - low))).int().clamp_(max=BINS - 1)
    counts: NDArray[np.int64] = torch.bincount(places, minlength=BINS).numpy()
    return counts


def _distance(values: Tensor, first: Tensor) -> float:
    pairs = zip(torch.split(values, _CHUNK), torch.split(first, _CHUNK), strict=True)
    return math.sqrt(sum(float((one.double() - other.double()).square().sum()) for one, other in pairs))


def _together(rows: Sequence[Parameters], kind: str, *, complete: bool) -> Parameters:
    """Put the layers together: moments exactly, histograms to within a bin."""
    count = sum(row.count for row in rows)
    mean = sum(row.count * row.mean for row in rows) / count
    moments = [0.0, 0.0, 0.0]
    for row in rows:
        shift, share = row.mean - mean, row.count / count
        second = row.std**2
        third = (row.skewness or 0.0) * row.std**3
        fourth = ((row.kurtosis if row.kurtosis is not None else -3.0) + 3) * row.std**4
        moments[0] += share * (second + shift**2)
        moments[1] += share * (third + 3 * shift * second + shift**3)
        moments[2] += share * (fourth + 4 * shift * third + 6 * shift**2 * second + shift**4)
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = np.sum([rebinned(row, edges) for row in rows], axis=0)
    std = math.sqrt(moments[0])
    distances = [row.distance for row in rows if row.distance is not None]
    middle = _NEAR_ZERO * std
    below = np.interp([-middle, middle], edges, np.append(0, np.cumsum(counts)))
    return Parameters(
        NETWORK,
        kind,
        np.diff(np.round(np.append(0, np.cumsum(counts)))).astype(np.int64),
        low,
        high,
        count,
        mean,
        std,
        *_shape((moments[0], moments[1], moments[2]), max(abs(low), abs(high))),
        near_zero=float(below[1] - below[0]) / count,
        l2=math.sqrt(sum(row.l2**2 for row in rows)),
        distance=math.hypot(*distances) if complete and len(distances) == len(rows) else None,
    )


def _shape(moments: tuple[float, float, float], largest: float) -> tuple[float | None, float | None]:
    """Skewness and excess kurtosis from central moments; none where the values are all the same."""
    std = math.sqrt(moments[0])
    if std <= _SAME * largest:
        return None, None
    return moments[1] / std**3, moments[2] / std**4 - 3
