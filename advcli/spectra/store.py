"""Analyses on disk, by the fingerprint of the weights: what is known of a checkpoint is not computed again."""

import hashlib
import json
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advcli.images.writing import whole
from advcli.spectra.parameters import Parameters
from advcli.spectra.spectrum import Analysis, LayerSpectrum

FORMAT = 1
_EMPTY: dict[str, object] = {"eigenvalues": None, "shuffled": None}  # they are arrays of their own


def place(folder: Path, fingerprint: str, seed: int, first_sha256: str | None, *, traps: bool) -> Path:
    """Say where the analysis of a checkpoint belongs: by everything that decides it.

    Args:
        folder: of all analyses.
        fingerprint: of the weights.
        seed: of the shuffles.
        first_sha256: of the file that distances are measured from; none for no distances.
        traps: whether correlation traps were looked for.
    """
    versions = [version(package) for package in ("weightwatcher", "numpy", "scipy", "torch")]
    text = json.dumps([FORMAT, fingerprint, seed, first_sha256, traps, versions])
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def save(path: Path, analysis: Analysis) -> None:
    """Write an analysis, whole or not at all.

    Args:
        path: as ``place`` says.
        analysis: what is to be kept.

    Raises:
        UsageError: the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    layers, parameters = [], []
    for number, one in enumerate(analysis.layers):
        arrays[f"eigenvalues{number}"], arrays[f"shuffled{number}"] = one.eigenvalues, one.shuffled
        layers.append({item.name: getattr(one, item.name) for item in fields(LayerSpectrum)} | _EMPTY)
    for number, row in enumerate(analysis.parameters):
        arrays[f"counts{number}"] = row.counts
        parameters.append(asdict(row) | {"counts": None})
    words = {"fingerprint": analysis.fingerprint, "layers": layers, "parameters": parameters}
    arrays["words"] = np.frombuffer(json.dumps(words).encode(), dtype=np.uint8)
    with whole(path) as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: Path) -> Analysis | None:
    """Read an analysis back; none where there is none, or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            words = json.loads(arrays["words"].tobytes())
            layers = tuple(
                LayerSpectrum(
                    **{
                        **one,
                        "eigenvalues": arrays[f"eigenvalues{number}"],
                        "shuffled": arrays[f"shuffled{number}"],
                        "flags": tuple(one["flags"]),
                    }
                )
                for number, one in enumerate(words["layers"])
            )
            parameters = tuple(
                Parameters(**{**one, "counts": arrays[f"counts{number}"]})
                for number, one in enumerate(words["parameters"])
            )
    except Exception:  # noqa: BLE001 - a damaged archive fails in whatever place the damage is
        return None
    return Analysis(words["fingerprint"], layers, parameters)
