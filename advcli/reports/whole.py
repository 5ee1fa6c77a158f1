"""Files too large to be held in memory, and yet whole or absent."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from advcli.errors import UsageError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file beside its place, and put it there once it is finished.

    Args:
        path: where the file belongs; missing folders are made, a file that is there is replaced.

    Yields:
        Where to write meanwhile; removed if anything goes wrong.

    Raises:
        UsageError: the folder or the file cannot be written, or the disk is full.
    """
    beside = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}", "give another folder with --out") from error
