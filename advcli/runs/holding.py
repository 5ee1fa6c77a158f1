"""Whether a record of an earlier call still holds: its line, its meaning, its input and its pictures."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advcli.core.records import ErrorRecord, Record
from advcli.images.sources import is_identity
from advcli.reports.lines import as_record
from advcli.runs.command import Item

Looks = tuple[int, int, int]  # size, time stamp in ns, inode
Key = tuple[str, str | None]


def looks(path: Path) -> Looks | None:
    """Say how a file looks from outside; none where there is no such regular file."""
    try:
        return looks_of(path.stat())
    except (OSError, ValueError):
        return None


def looks_of(stat: os.stat_result) -> Looks:
    """Keep what of a file's state tells that it is the same."""
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino)


class Holds:
    """Says of each line of an earlier call whether it still holds, and remembers items whose file has changed.

    Args:
        out: folder of the run.
        model: class of the records.
        items: of this call, by identity.
        axes: id to public values for each case of this call.
        seen: digest of a line to what ``.seen.jsonl`` keeps of it.

    Attributes:
        changed: identities of items whose file is not what it was.
    """

    def __init__(
        self,
        out: Path,
        model: type[Record],
        items: Mapping[str, Item],
        axes: Mapping[str, Mapping[str, object]],
        seen: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._out, self._model, self._items, self._axes, self._seen = out, model, items, axes, seen
        self._fresh: dict[str, bool] = {}
        self.changed: set[str] = set()

    def __call__(self, line: bytes) -> Key | None:
        """Give item and case of a line that holds, else none."""
        record = as_record(line)
        known = self._seen.get(short_digest(line))
        if record is None or record.get("status") == "error" or (known is None and not self._is_whole(line)):
            return None
        if self._seen and known is None:
            return None  # this line is not what was written: somebody edited it
        item, case = record["item"], record.get("case")
        if not self._same_meaning(record, case):
            return None
        if item in self._items and not self._is_fresh(item, record, known or {}):
            self.changed.add(item)
            return None
        return (item, case) if self._pictures_are_there(record, known or {}) else None

    def _is_whole(self, line: bytes) -> bool:
        try:
            self._model.model_validate_json(line)
        except ValueError:
            try:
                ErrorRecord.model_validate_json(line)
            except ValueError:
                return False
        return True

    def _same_meaning(self, record: Mapping[str, Any], case: str | None) -> bool:
        """Say whether a record's case has the values that this call means by its id."""
        wanted = json.loads(json.dumps(dict(self._axes.get(case or "", {})), default=str))
        there = {name: record.get(name) for name in wanted}
        return all(there[name] in (None, value) or value is None for name, value in wanted.items())

    def _is_fresh(self, item: str, record: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
        if item not in self._fresh:
            file = self._items[item].file
            self._fresh[item] = file is None or _unchanged(file, record.get("sha256"), known.get("file"))
        return self._fresh[item]

    def _pictures_are_there(self, record: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
        files, digests = record.get("files") or {}, record.get("digests") or {}
        before = known.get("pictures") or {}
        for kind, path in files.items():
            if not isinstance(path, str) or not is_identity(path):
                return False
            if not _unchanged(self._out / path, digests.get(kind), before.get(path)):
                return False
        return True


def _unchanged(path: Path, sha256: str | None, before: Sequence[int] | None) -> bool:
    """Say whether a file is what it was: looks the same, or has the same bytes."""
    now = looks(path)
    if now is None or not path.is_file():
        return False
    if before is not None and tuple(before) == now:
        return True
    try:
        return sha256 is not None and digest_of(path) == sha256
    except OSError:
        return False


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in flat memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_digest(line: bytes) -> str:
    """Digest of a line of records.jsonl, as ``.seen.jsonl`` keeps it."""
    return hashlib.sha256(line).hexdigest()[:32]
