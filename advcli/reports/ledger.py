"""The ledger of a run: records.jsonl, one line per record, appended as images are finished.

It is the only truth about what is done. A run that was killed continues from it: a torn last line is dropped, an image
with only some of its records is done again, and so is one whose pictures are gone from the disk, one whose file has
changed since, and one that could not be used the last time.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from advcli.core.results import Record
from advcli.images.writing import whole


class Ledger:
    """Records on disk, and which images they finish.

    Args:
        path: of records.jsonl; made where it is missing.
        per_image: records that a finished image has.
        fresh: says of an identity and a digest whether the image's file is still the one that was looked at.

    Attributes:
        done: identities of the finished images.
    """

    def __init__(self, path: Path, per_image: int, fresh: Callable[[str, str], bool]) -> None:
        self._path = path
        self.done = self._mend(per_image, fresh)
        self._file = path.open("ab")

    def append(self, records: Sequence[Record]) -> None:
        """Write the records of whole images, down to the disk, before anything else is said of them."""
        self._file.write("".join(record.model_dump_json() + "\n" for record in records).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _mend(self, per_image: int, fresh: Callable[[str, str], bool]) -> set[str]:
        """Drop the lines of images that have to be done again; return the images that are done."""
        if not self._path.exists():
            return set()
        sound: dict[str, int] = {}
        lines = 0
        for line in read_lines(self._path):
            lines += 1
            if line["status"] == "ok" and self._kept(line) and fresh(line["path"], line["sha256"]):
                sound[line["path"]] = sound.get(line["path"], 0) + 1
        done = {path for path, count in sound.items() if count == per_image}
        if lines != per_image * len(done) or _is_torn(self._path):
            with whole(self._path) as beside, beside.open("w", encoding="utf-8") as file:
                file.writelines(_dumped(line) for line in read_lines(self._path) if line["path"] in done)
        return done

    def _kept(self, line: Mapping[str, Any]) -> bool:
        return all((self._path.parent / file).exists() for file in line["files"].values())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a ledger, without a torn last line."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def unchanged(path: Path, sha256: str, since: float) -> bool:
    """Say whether a file is what it was: not touched since, or touched and still the same bytes.

    Args:
        path: of the file.
        sha256: of the bytes that were looked at.
        since: modification times up to this one (seconds) need no second look.
    """
    try:
        if path.stat().st_mtime <= since:
            return True
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _is_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _dumped(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
