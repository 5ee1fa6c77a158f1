"""One checkpoint analyzed: WeightWatcher called on each layer, the same layer shuffled, weights and biases.

WeightWatcher is imported here and nowhere else, and this module only in a process of its own (``worker.py``): importing
it changes logging levels and warnings of the whole process, and with CUDA visible it computes in fp16.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import weightwatcher
from numpy.typing import NDArray
from torch import Tensor
from weightwatcher.RMT_Util import calc_rank_loss

from advcli.core.randomness import key
from advcli.errors import ModelError
from advcli.spectra.eigenvalues import eigenvalues_of, matrix_norm, shuffled_eigenvalues, steady_eigenvalues
from advcli.spectra.parameters import parameters_of
from advcli.spectra.power_law import FEW, SMALLEST, fit_tail
from advcli.spectra.spectrum import Analysis, LayerSpectrum
from advcli.spectra.weights import Layer, fingerprint_of, layers_of, plain_state

TRAPS_FROM = 100  # eigenvalues; below, WeightWatcher adds up the traps of five shuffles
_OTHER_SPECTRA = ("peft", "intra", "inverse")  # settings of the library under which it computes something else
_TEXT = ("name", "longname", "layer_type", "status", "warning")


class Watcher(weightwatcher.WeightWatcher):  # type: ignore[misc]  # the library has no types
    """WeightWatcher that keeps the eigenvalues it computes, so that pictures need not compute them again."""

    def apply_esd(self, ww_layer: Any, params: Any = None) -> Any:
        """Compute the eigenvalues of a layer, and remember them."""
        done = super().apply_esd(ww_layer, params)
        self.kept = np.asarray(done.evals, dtype=np.float64)
        return done

    def combined_eigenvalues(self, Wmats: Any, N: int, M: int, n_comp: int, params: Any = None) -> tuple[Any, ...]:  # noqa: N803  the library's names
        """Compute squared singular values by Gram matrices, at half the cost, where that keeps their digits."""
        matrices = Wmats if isinstance(Wmats, list) else [Wmats]
        changed = params is not None and any(params[name] for name in _OTHER_SPECTRA)
        found = [] if changed or n_comp < M else [steady_eigenvalues(np.asarray(one)) for one in matrices]
        values = [one for one in found if one is not None]
        if len(values) < len(matrices):
            return tuple(super().combined_eigenvalues(Wmats, N, M, n_comp, params))
        roots = [np.sqrt(one) for one in values]
        lost = sum(calc_rank_loss(one, N) for one in roots)
        return np.sort(np.concatenate(values)), max(one[-1] for one in roots), max(one[0] for one in roots), lost

    def fit_powerlaw(self, evals: Any, **options: Any) -> tuple[Any, ...]:
        """Fit the tail to the same digits as the library, at a hundredth of the cost; few values by the library."""
        found = fit_tail(evals) if np.count_nonzero(evals > SMALLEST) >= FEW else None
        if found is None:
            return tuple(super().fit_powerlaw(evals, **options))
        warning = "over-trained" if found.alpha < 2 else "under-trained" if found.alpha > 6 else ""
        spikes = int(np.count_nonzero(evals >= found.xmin))
        fitted = (found.alpha, -1, found.xmin, np.max(evals), found.distance, found.sigma)
        return (*fitted, spikes, 0, -1, "success", warning)


def analyze(
    state: Mapping[str, Tensor], *, seed: int = 0, traps: bool = False, first: Mapping[str, Tensor] | None = None
) -> Analysis:
    """Analyze the weights of a checkpoint.

    Args:
        state: its state dict; left as it is.
        seed: of the shuffles.
        traps: look for correlation traps in layers of ``TRAPS_FROM`` eigenvalues and more; 15 times dearer.
        first: of the checkpoint that distances are measured from.

    Raises:
        ModelError: there is no layer, or a weight is not finite.
    """
    plain = plain_state(state)
    layers = layers_of(plain)
    if not layers:
        raise ModelError("it holds no weight of two dimensions", "give the state dict of a network")
    fingerprint = fingerprint_of(state)
    spectra = tuple(_spectrum(layer, fingerprint, seed, traps=traps) for layer in layers)
    return Analysis(fingerprint, spectra, tuple(parameters_of(plain, plain_state(first) if first else None)))


def _spectrum(layer: Layer, fingerprint: str, seed: int, *, traps: bool) -> LayerSpectrum:
    described = {
        "layer": layer.number,
        "name": layer.name,
        "kind": layer.kind,
        "shape": tuple(layer.weight.shape),
        "count": layer.eigenvalues,
    }
    flags = [layer.obstacle] if layer.obstacle else []
    flags += [f"tied-to-{layer.tied}"] if layer.tied else []
    none = np.zeros(0)
    if layer.obstacle:
        norm = matrix_norm(layer.weight)
        small = layer.obstacle == "too-small"
        eigenvalues = eigenvalues_of(layer.weight) if small else none
        return LayerSpectrum(described, {}, {}, eigenvalues, none, None, norm, tuple(flags))
    try:
        columns, words, eigenvalues = _watched(layer, fingerprint, seed, traps=traps)
    except Exception as error:  # noqa: BLE001 - the library may fail in any way on a shape it does not foresee
        print(f"{layer.name}: {type(error).__name__}: {error}")  # noqa: T201 - the worker's log
        failed = (*flags, "not-analyzed")
        norm = matrix_norm(layer.weight)
        return LayerSpectrum(described, {}, {}, eigenvalues_of(layer.weight), none, None, norm, failed)
    if columns.get("Q", 1.0) < 1:
        flags.append("sides-swapped")  # the library's slip with even kernels and fewer outputs than inputs
    shuffled = shuffled_eigenvalues(layer.weight, seed, fingerprint, layer.name)
    null = fit_tail(shuffled)
    norm = columns["sv_max"] if layer.kind == "linear" else matrix_norm(layer.weight)
    return LayerSpectrum(
        described, columns, words, eigenvalues, shuffled, null.alpha if null else None, norm, tuple(flags)
    )


def _watched(
    layer: Layer, fingerprint: str, seed: int, *, traps: bool
) -> tuple[dict[str, float], dict[str, str], NDArray[np.float64]]:
    """Call WeightWatcher on one layer, which gives the same row as on the whole network."""
    # Seeded for the library's own shuffles, which draw from numpy's global state: the process is ours alone.
    np.random.seed(key(seed, fingerprint, "traps", layer.name)[0])  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, once for each layer
        watcher = Watcher(model={f"{layer.name}.weight": layer.weight})
        rows = watcher.analyze(randomize=traps and layer.eigenvalues >= TRAPS_FROM)
    if len(rows) != 1:
        raise ModelError(f"WeightWatcher leaves {layer.name} out")
    row = rows.iloc[0].to_dict() | {"layer_id": layer.library_id}
    words = {name: str(row.pop(name)) for name in _TEXT if name in row}
    return {name: float(value) for name, value in row.items() if value is not None}, words, watcher.kept
