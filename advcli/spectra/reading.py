"""Weights out of any file that holds a network or its state dict, without an architecture to put them into."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from advcli.models.loading.checkpoints import read_state_dict
from advcli.models.loading.file_format import file_format
from advcli.models.loading.pickles import load_pickle, module_in, state_dict_in, without_prefixes
from advcli.models.loading.unsafe_formats import load_unsafe


def read_weights(path: Path, *, trust: bool) -> dict[str, Tensor]:
    """Read the weights of a checkpoint.

    Args:
        path: a safetensors file, a state dict, a training checkpoint, or with ``trust`` a whole network.
        trust: whether code in the file may run.

    Returns:
        Names, without the prefixes of DataParallel and torch.compile, to tensors on the CPU.

    Raises:
        ModelError: the file is damaged, holds no weights, or is not trusted.
    """
    kind = file_format(path)
    if kind == "safetensors":
        return read_state_dict(path)
    if kind != "checkpoint":
        return dict(load_unsafe(path, kind, trust=trust).state_dict())
    loaded = load_pickle(path, trust=trust)
    network = module_in(loaded)
    return dict(network.state_dict()) if network is not None else state_dict_in(loaded, path)


def read_shapes(path: Path, *, trust: bool) -> dict[str, tuple[int, ...]]:
    """Read what tensors a checkpoint holds; of the usual formats without reading their values.

    Args:
        path: as ``read_weights`` takes it.
        trust: whether code in the file may run.

    Raises:
        ModelError: as ``read_weights``.
    """
    kind = file_format(path)
    try:
        if kind == "safetensors":
            with safetensors.safe_open(path, framework="pt") as file:
                shapes: Any = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return without_prefixes(shapes)  # type: ignore[return-value]  # it looks at names only
        if kind == "checkpoint" and zipfile.is_zipfile(path):
            loaded = torch.load(str(path), mmap=True, weights_only=True, map_location="cpu")
            return _shapes(state_dict_in(loaded, path))
    except Exception:  # noqa: BLE001 - a damaged file raises anything: reading it in full says what is wrong
        return _shapes(read_weights(path, trust=trust))
    return _shapes(read_weights(path, trust=trust))


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in state.items()}
