"""The matrices of a state dict: which of its tensors are layers, by what name, of what kind, and what they hold."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advcli.errors import ModelError

LEAST_EIGENVALUES = 8  # below that WeightWatcher leaves a layer out
MOST_EIGENVALUES = 15_000  # above that it does, too
KINDS = {2: "linear", 3: "conv1d", 4: "conv2d", 5: "conv3d"}
ANALYZED = ("linear", "conv2d")
_WEIGHT = ".weight"


@dataclass(frozen=True)
class Layer:
    """One weight of a network.

    Args:
        number: place among the layers of the state dict, 1 for the first.
        library_id: WeightWatcher's ``layer_id``, which counts norms too.
        name: of the module, or of the parameter where it is not called ``weight``.
        kind: ``linear``, ``conv1d``, ``conv2d`` or ``conv3d``, by its dimensions; an embedding is ``linear``.
        weight: as saved, in float32 or float64.
        tied: name of an earlier layer with the very same values; none where there is none.
    """

    number: int
    library_id: int
    name: str
    kind: str
    weight: NDArray[np.floating]
    tied: str | None

    @property
    def eigenvalues(self) -> int:
        """Number of eigenvalues: the smaller side of the matrix, once for each place of the kernel."""
        return int(min(self.weight.shape[:2]) * np.prod(self.weight.shape[2:], dtype=int))

    @property
    def obstacle(self) -> str | None:
        """Say why WeightWatcher leaves the layer out, in a word; none where it does not."""
        if self.kind not in ANALYZED:
            return f"no-spectrum-of-{self.kind}"
        if self.eigenvalues < LEAST_EIGENVALUES:
            return "too-small"
        return "too-large" if self.eigenvalues > MOST_EIGENVALUES else None


def layers_of(state: Mapping[str, Tensor]) -> list[Layer]:
    """Find the layers of a network in its state dict.

    Args:
        state: names to tensors, of any floating type; parametrizations undone (``plain_state``).

    Returns:
        Every weight of two dimensions or more, in the order of the state dict. One that has no name ending in
        ``.weight``, such as ``attn.in_proj_weight``, is a layer too, called after the parameter.

    Raises:
        ModelError: a weight is NaN, infinite or complex.
    """
    found: list[Layer] = []
    seen: dict[bytes, str] = {}
    library_id = 0
    for key, values in state.items():
        name = layer_name(key)
        if name is None:
            continue
        library_id += 1
        if values.ndim < 2:
            continue
        weight = _array(key, values)
        digest = hashlib.blake2b(repr(weight.shape).encode() + weight.tobytes(), digest_size=16).digest()
        found.append(Layer(len(found) + 1, library_id, name, _kind(values), weight, seen.get(digest)))
        seen.setdefault(digest, name)
    return found


def fingerprint_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, whatever their order in the file."""
    digest = hashlib.sha256()
    for name, values in sorted(state.items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def layer_name(key: str) -> str | None:
    """Name the layer that a tensor is the weight of; none where it is something else."""
    if key.endswith(_WEIGHT):
        return key.removesuffix(_WEIGHT)
    last = key.rpartition(".")[2]
    return key if last == "weight" or "_weight" in last or last.startswith("weight_") else None


def listed_layers(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Name the layers of a state dict of which only the shapes are known, in its order."""
    named = [(layer_name(key), shape) for key, shape in plain_shapes(shapes).items()]
    return [name for name, shape in named if name is not None and len(shape) >= 2]


def plain_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Give the shapes that ``plain_state`` would leave."""
    return {_plain_key(key) or key: shape for key, shape in shapes.items() if _plain_key(key) != ""}


def plain_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo spectral and weight normalization: the weights that the network really uses, under their plain names.

    Both of torch's forms are known: parametrizations (``parametrizations.weight.original``) and the older hooks
    (``weight_orig``, ``weight_g``). A file that holds neither is given back as it is.

    Args:
        state: names to tensors.
    """
    plain: dict[str, Tensor] = {}
    for key, values in state.items():
        name = _plain_key(key)
        if name is None:
            plain[key] = values
        elif name:
            plain[name] = _effective(key, values.detach().float(), state)
    return plain


_PARAMETRIZED = "parametrizations.weight."
_DROPPED = ("original1", "0._u", "0._v")


def _plain_key(key: str) -> str | None:
    """Name the plain weight that a normalized one stands for; empty for its helpers, none for everything else."""
    before, found, part = key.rpartition(_PARAMETRIZED)
    if found:
        return "" if part in _DROPPED else f"{before}weight"
    module, _, last = key.rpartition(".")
    dot = "." if module else ""
    if last in ("weight_orig", "weight_g"):
        return f"{module}{dot}weight"
    return "" if last in ("weight_u", "weight_v") else None


def _effective(key: str, values: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    beside = {
        "original": ("0._u", "0._v"),
        "original0": ("original1",),
        "weight_orig": ("weight_u", "weight_v"),
        "weight_g": ("weight_v",),
    }
    last = next(name for name in sorted(beside, key=len, reverse=True) if key.endswith(name))
    others = [state.get(key.removesuffix(last) + name) for name in beside[last]]
    if any(other is None for other in others):
        return values
    first, *rest = [other.detach().float() for other in others if other is not None]
    if not rest:  # magnitude g and direction v, one length for each output
        length = first.flatten(1).norm(dim=1).view(-1, *[1] * (first.ndim - 1))
        directed: Tensor = values * first / length
        return directed
    scale: Tensor = first @ (values.flatten(1) @ rest[0])
    return values / scale


def _array(key: str, values: Tensor) -> NDArray[np.floating]:
    if values.is_complex():
        raise ModelError(f"{key} is complex", "only real weights have this spectrum")
    kept = values.dtype if values.dtype in (torch.float32, torch.float64) else torch.float32
    wide = values.detach().cpu().to(kept)
    if not bool(torch.isfinite(wide).all()):
        raise ModelError(f"{key} holds NaN or infinite values", "train or save it again")
    array: NDArray[np.floating] = wide.contiguous().numpy()
    return array


def _kind(values: Tensor) -> str:
    return KINDS.get(values.ndim, f"{values.ndim}d")
