"""From the analysis of a layer to its record."""

from collections.abc import Mapping
from typing import Any

from advcli.core.esd import EsdRecord
from advcli.runs.command import Case
from advcli.spectra.parameters import Parameters
from advcli.spectra.readings import read_alpha
from advcli.spectra.spectrum import LayerSpectrum

_FIT = {"alpha": "alpha", "alpha_sigma": "sigma", "xmin": "xmin", "xmax": "xmax", "D": "D", "alpha_weighted": None}


def esd_record(
    about: Mapping[str, Any], case: Case, spectrum: LayerSpectrum, parameters: Mapping[tuple[str, str], Parameters]
) -> EsdRecord:
    """Make the record of a layer.

    Args:
        about: what all records of the checkpoint share.
        case: of the layer.
        spectrum: its analysis.
        parameters: of the checkpoint, by layer and kind.
    """
    columns = spectrum.columns
    fitted = columns.get("alpha", -1) > 0 and spectrum.words.get("status") == "success"
    layer = dict(spectrum.layer)
    count = int(layer.pop("count"))
    alpha = columns.get("alpha") if fitted else None
    reading, reasons = read_alpha(alpha, spectrum.alpha_null, count)
    if not columns:  # it was not analyzed, and the flags say why
        reading = "insufficient"
    fit = {name: columns.get(column or name) if fitted else None for name, column in _FIT.items()}
    traps = columns.get("num_traps")
    return EsdRecord(
        **about,
        **{**layer, "shape": tuple(layer["shape"])},
        case=case.id,
        flags=(*spectrum.flags, *reasons),
        eigenvalues=count,
        **fit,
        alpha_null=spectrum.alpha_null,
        spectral_norm=columns.get("spectral_norm"),
        log_spectral_norm=columns.get("log_spectral_norm"),
        matrix_norm=spectrum.matrix_norm,
        stable_rank=columns.get("stable_rank"),
        reading=reading,
        warning=spectrum.words.get("warning") or None,
        traps=None if traps is None or traps < 0 else int(traps),
        rand_distance=columns.get("rand_distance"),
        **_about_values(layer["name"], parameters),
        columns=dict(columns),
    )


def missing_record(about: Mapping[str, Any], case: Case) -> EsdRecord:
    """Make the record of a layer that a checkpoint does not have."""
    return EsdRecord(
        **about, case=case.id, name=case.payload, status="not-applicable", error=f"it has no layer {case.payload}"
    )


def _about_values(name: str, parameters: Mapping[tuple[str, str], Parameters]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    weight, bias = parameters.get((name, "weight")), parameters.get((name, "bias"))
    if weight is not None:
        names = ("mean", "std", "skewness", "kurtosis", "near_zero", "l2", "distance")
        found |= {f"weight_{one}": getattr(weight, one) for one in names}
    if bias is not None:
        found |= {"bias_mean": bias.mean, "bias_std": bias.std}
    return found
