"""What kind of model file this is, told by its contents: an extension is a promise that nobody has to keep."""

import zipfile
from pathlib import Path
from typing import Literal

from advcli.errors import ModelError

Format = Literal["safetensors", "checkpoint", "torchscript", "exported", "pickle"]
"""``checkpoint`` is whatever ``torch.save`` wrote, a state dict or a whole network; ``pickle`` any other pickle."""

ZIP = b"PK\x03\x04"
LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6 pickled this number first
PICKLE_PROTOCOLS = range(2, 6)
LONGEST_HEADER = 100_000_000  # safetensors' own limit
STRANGERS = {
    b"version https://git-lfs": "a Git LFS pointer, not the file that it points to",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"\x89hdf": "an HDF5 file; Keras models are not read",
}
SUPPORTED = "give a .safetensors file, or a state dict written by torch.save, with --arch"


def file_format(path: Path) -> Format:
    """Tell what kind of model file this is, without running or unpickling anything in it.

    Args:
        path: the file.

    Returns:
        The kind. It says how the file has to be read, not that reading will succeed. Where an archive could pass for
        two kinds, it is the one that can run code.

    Raises:
        ModelError: no such file, not readable, empty, truncated, or nothing that we know.
    """
    head, size = _head(path)
    if head.startswith(ZIP):
        return _archive(path)
    if LEGACY_MAGIC in head[:32]:
        return "checkpoint"
    if head[0] == 0x80 and len(head) > 1 and head[1] in PICKLE_PROTOCOLS:
        return "pickle"
    if _is_safetensors(head, size, path):
        return "safetensors"
    for start, what in STRANGERS.items():
        if head.lower().startswith(start):
            raise ModelError(f"{path} is {what}", SUPPORTED)
    raise ModelError(f"{path} is not a model file: it begins with {head[:8]!r}", SUPPORTED)


def _head(path: Path) -> tuple[bytes, int]:
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not a model file", SUPPORTED)
    try:
        with path.open("rb") as file:
            head = file.read(64)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise ModelError(f"there is no file {path}", "check the path given to --model or --weights") from error
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise ModelError(f"{path} is empty (0 bytes)", "download or save it again")
    return head, size


def _archive(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path} is truncated or damaged: {error}", "download or save it again") from error
    inside = {member.partition("/")[2] or member for member in members}  # torch puts all below one folder
    # The second is how torch.export wrote its programs before it had a format of its own.
    if inside & {"archive_format", "serialized_exported_program.json"}:
        return "exported"
    if "constants.pkl" in inside or any(member.startswith("code/") for member in inside):
        return "torchscript"
    if "data.pkl" in inside:
        return "checkpoint"
    raise ModelError(f"{path} is a zip archive, but not one of torch's", SUPPORTED)


def _is_safetensors(head: bytes, size: int, path: Path) -> bool:
    """Whether the file has safetensors' shape: eight bytes with the header's length, then a JSON object."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= LONGEST_HEADER:
        return False
    if 8 + length > size:
        raise ModelError(f"{path} is truncated: {size} bytes of at least {8 + length}", "download or save it again")
    return True
