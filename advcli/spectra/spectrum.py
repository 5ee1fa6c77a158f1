"""What is known of one checkpoint: the spectrum of each layer, and its weights and biases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advcli.spectra.parameters import Parameters


@dataclass(frozen=True)
class LayerSpectrum:
    """What is known of one layer's spectrum.

    Args:
        layer: number, name, kind and shape, as in the records.
        columns: WeightWatcher's row for it, numbers and truth values; empty where it leaves the layer out.
        words: the texts of that row.
        eigenvalues: ascending; empty where the layer has no spectrum.
        shuffled: of the same weights shuffled; likewise.
        alpha_null: exponent of the tail of ``shuffled``; none where the fit failed.
        matrix_norm: see ``eigenvalues.matrix_norm``.
        flags: why the layer is not analyzed, and what else a reader should know.
    """

    layer: Mapping[str, Any]
    columns: Mapping[str, float]
    words: Mapping[str, str]
    eigenvalues: NDArray[np.float64]
    shuffled: NDArray[np.float64]
    alpha_null: float | None
    matrix_norm: float | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Analysis:
    """What is known of one checkpoint.

    Args:
        fingerprint: SHA-256 of its weights.
        layers: in the order of the state dict.
        parameters: weights and biases.
    """

    fingerprint: str
    layers: tuple[LayerSpectrum, ...]
    parameters: tuple[Parameters, ...]
