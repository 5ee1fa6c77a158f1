"""Weights on disk: state dicts of any origin read, and our own files, which describe themselves, written and read."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import safetensors
import safetensors.torch
from torch import Tensor, nn

from advcli.errors import ModelError, UsageError
from advcli.models.card import Card, Interpolation, Preprocessing
from advcli.models.loading.file_format import file_format
from advcli.models.loading.pickles import load_pickle, state_dict_in, without_prefixes
from advcli.models.loading.request import LARGEST_SIZE, SMALLEST_STD

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Header:
    """What one of our files says about its network.

    Args:
        architecture: as ``--arch`` takes it.
        classes: names, in the order of the logits; none where they were made up.
        preprocessing: input size and normalization.
    """

    architecture: str
    classes: tuple[str, ...] | None
    preprocessing: Preprocessing


def read_state_dict(path: Path, *, trust: bool = False) -> dict[str, Tensor]:
    """Read the weights out of a safetensors file, a state dict or a training checkpoint.

    Args:
        path: the file; told by its contents, not by its extension.
        trust: whether code in a checkpoint may run, where it cannot be read otherwise.

    Returns:
        Names, without the prefixes of DataParallel and torch.compile, to tensors on the CPU.

    Raises:
        ModelError: the file is missing or damaged, holds no state dict, or names classes that are more than weights.
    """
    kind = file_format(path)
    if kind == "safetensors":
        return read_model(path)[0]
    if kind != "checkpoint":
        raise ModelError(f"{path} holds no state dict, it is of the kind {kind}", "save network.state_dict()")
    return state_dict_in(load_pickle(path, trust=trust), path)


def write_model(path: Path, network: nn.Module, card: Card, more: Mapping[str, str] | None = None) -> None:
    """Write a network as a file that describes itself, in one step: never half a file.

    The same network, card and words give the same bytes.

    Args:
        path: the safetensors file; replaced where it exists.
        network: its state dict is written as it is, integers such as ``num_batches_tracked`` too.
        card: its architecture, classes and preprocessing go into the header.
        more: words for the header that nothing here reads.

    Raises:
        UsageError: the file cannot be written.
    """
    # Cloned, because safetensors refuses tensors that share their memory.
    state = {name: value.detach().cpu().clone().contiguous() for name, value in network.state_dict().items()}
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(_ordered(safetensors.torch.save(state, {**(more or {}), **_metadata(card)})))
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror or error}", "give another --out") from error


def read_header(path: Path) -> Header | None:
    """Read what a safetensors file says about its network, and none of the weights.

    Returns:
        The header, or none where the file is not one of ours.

    Raises:
        ModelError: the file is damaged, or of a format that came after this version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise _damage(path, error) from error
    return _header(metadata, path) if "format_version" in metadata and "architecture" in metadata else None


def read_model(path: Path) -> tuple[dict[str, Tensor], Header | None]:
    """Read the weights of a safetensors file, and its header where it is one of ours.

    Raises:
        ModelError: the file is damaged, or of a format that came after this version.
    """
    header = read_header(path)
    try:
        return without_prefixes(safetensors.torch.load_file(path)), header
    except (safetensors.SafetensorError, OSError) as error:
        raise _damage(path, error) from error


def _ordered(data: bytes) -> bytes:
    """Sort the words of a header, which the library writes in the order of a hash that every process seeds anew."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    # Bytes of UTF-8 and not escapes, as the library itself writes, and filled up to a multiple of eight.
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _metadata(card: Card) -> dict[str, str]:
    """Every value is JSON, but for the two that are words: safetensors keeps nothing but strings."""
    used = card.preprocessing
    return {
        "format_version": json.dumps(FORMAT_VERSION),
        "architecture": card.architecture,
        "classes": json.dumps(card.classes if card.classes_known else None, ensure_ascii=False),
        "mean": json.dumps(used.mean),
        "std": json.dumps(used.std),
        "size": json.dumps(used.size),
        "resize": json.dumps(used.resize),
        "interpolation": used.interpolation,
    }


def _header(metadata: dict[str, str], path: Path) -> Header:
    version = metadata["format_version"]
    if version != json.dumps(FORMAT_VERSION):
        raise ModelError(f"{path} has format version {version}, this advcli reads {FORMAT_VERSION}", "upgrade advcli")
    try:
        return _parse(metadata)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        hint = "write it again with advcli train, or give --arch, --mean, --std and --classes with a plain state dict"
        raise ModelError(f"the header of {path} is damaged: {error}", hint) from error


def _parse(metadata: dict[str, str]) -> Header:
    classes = json.loads(metadata["classes"])
    if classes is not None and len({str(name) for name in classes}) < len(classes):
        raise ValueError("two classes have one name")
    interpolation = metadata["interpolation"]
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation {interpolation!r}")
    height, width = (int(side) for side in json.loads(metadata["size"]))
    resize = int(json.loads(metadata["resize"]))
    if not (min(height, width) >= 1 and max(height, width) <= min(resize, LARGEST_SIZE)):
        raise ValueError(f"size {metadata['size']} with resize {metadata['resize']}")
    std = _triple(metadata["std"])
    if min(std) < SMALLEST_STD:
        raise ValueError(f"std {metadata['std']}")
    return Header(
        architecture=metadata["architecture"],
        classes=None if classes is None else tuple(str(name) for name in classes),
        preprocessing=Preprocessing(
            size=(height, width),
            resize=resize,
            interpolation=cast("Interpolation", interpolation),
            mean=_triple(metadata["mean"]),
            std=std,
        ),
    )


def _triple(text: str) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in json.loads(text))
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError(f"{text} is not finite")
    return red, green, blue


def _damage(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path} is truncated or damaged: {error}", "download or save it again")
