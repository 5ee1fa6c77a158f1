"""The ledger of a run: records.jsonl, and beside it what the files looked like when their records were written.

records.jsonl is the only truth about what is done, one line per item and case, appended as results are finished. It
holds no times. ``.seen.jsonl`` beside it keeps, for each line, the line's digest and the size, time stamp and inode of
the item's file and of the pictures. A file that still looks the same is not read again; one that does not is hashed
and held against the record. So a changed input, a damaged picture and an edited record are noticed, whatever their
time stamps, and a folder that was copied is believed after one look at its bytes.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from advcli.core.records import AnyRecord, ErrorRecord, Record
from advcli.errors import UsageError
from advcli.images.sources import is_identity
from advcli.images.writing import whole
from advcli.reports.lines import as_record
from advcli.runs.command import Item
from advcli.runs.grid import natural

RECORDS = "records.jsonl"
SEEN = ".seen.jsonl"
Looks = tuple[int, int, int]  # size, time stamp in ns, inode
Key = tuple[str, str | None]


@dataclass(frozen=True)
class Entry:
    """One record on its way into the ledger.

    Args:
        record: with its files and digests.
        file: how the item's file looked before it was read; none for an item without a file.
        pictures: path below the run's folder to how the picture looks.
    """

    record: AnyRecord
    file: Looks | None
    pictures: Mapping[str, Looks]


def looks(path: Path) -> Looks | None:
    """Say how a file looks from outside; none where there is no such regular file."""
    try:
        return looks_of(path.stat())
    except (OSError, ValueError):
        return None


def looks_of(stat: os.stat_result) -> Looks:
    """Keep what of a file's state tells that it is the same."""
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino)


class Ledger:
    """The records of a run on disk; opening it drops what does not hold any more.

    Args:
        out: folder of the run.
        model: class of the records.
        items: of this call, by identity; records of other items are kept as they are.
        axes: id to public values for each case of this call; a record under the same id with other values is dropped.
        names: of the axes.
        repair: remove dropped lines from the disk; without it nothing is written (``--dry-run``).

    Attributes:
        done: item and case of each result that holds.
        cases: id of each case on disk when the ledger was opened, to its public values.
        dropped: number of lines that did not hold.

    Raises:
        UsageError: a file of the ledger cannot be read, or a case of this call has another meaning on disk.
    """

    def __init__(
        self,
        out: Path,
        model: type[Record],
        items: Mapping[str, Item],
        axes: Mapping[str, Mapping[str, object]],
        names: Sequence[str],
        *,
        repair: bool = True,
    ) -> None:
        self._names = names
        self.cases: dict[str, Mapping[str, object]] = {}
        self._out = out
        self._model = model
        self._items = items
        self._axes = axes
        self.dropped = 0
        self._offsets: dict[Key, tuple[int, int]] = {}
        try:
            self._open(repair=repair)
        except OSError as error:
            raise UsageError(
                f"{error.filename or out} cannot be read: {error.strerror or error}",
                "give another --out, or --overwrite to throw that run away",
            ) from error
        self.done = set(self._offsets)

    def append(self, entries: Sequence[Entry]) -> None:
        """Write records down to the disk before anything else is said of them."""
        lines = [(entry.record.model_dump_json() + "\n").encode() for entry in entries]
        stale = [path for entry in entries for path in self._replaced_pictures(entry)]
        place = self._file.tell()
        for entry, line in zip(entries, lines, strict=True):
            self._offsets[entry.record.item, entry.record.case] = (place, len(line))
            place += len(line)
        # First what the files look like: a record without that line counts as edited, the reverse is harmless.
        self._seen.write("".join(map(_seen_line, entries, lines)).encode())
        self._seen.flush()
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())
        for path in stale:
            (self._out / path).unlink(missing_ok=True)

    def _replaced_pictures(self, entry: Entry) -> list[str]:
        """Paths of the pictures that a record replaces and does not name itself."""
        key = (entry.record.item, entry.record.case)
        if key not in self._offsets:
            return []
        before = as_record(self.line(key)) or {}
        kept = set(entry.record.files.values())
        return [path for path in before.get("files", {}).values() if path not in kept]

    def record(self, item: str, case: str) -> dict[str, Any] | None:
        """Read one result; none where there is none."""
        return as_record(self.line((item, case))) if (item, case) in self._offsets else None

    def _remember(self, key: Key, line: bytes) -> None:
        if key[1] is not None and key[1] not in self.cases:
            record = json.loads(line)
            self.cases[key[1]] = {name: record.get(name) for name in self._names}

    def line(self, key: Key) -> bytes:
        """Read one record back."""
        place, length = self._offsets[key]
        return os.pread(self._file.fileno(), length, place)

    def sort(self) -> None:
        """Put the lines in an order that does not depend on how the run went: by item, then by case."""
        ranked = sorted(self._offsets, key=lambda key: (key[0], natural(key[1])))
        self._rewrite(ranked)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._seen.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, *, repair: bool) -> None:
        records = self._out / RECORDS
        lines = 0
        if records.exists():
            seen = _read_seen(self._out / SEEN)
            holds = _Holds(self._out, self._model, self._items, self._axes, seen)
            for place, line in _lines(records):
                lines += 1
                key = holds(line)
                if key is not None:
                    self._offsets[key] = (place, len(line))
                    self._remember(key, line)
            for item in holds.changed:  # a changed item is done again under every case
                self._offsets = {key: where for key, where in self._offsets.items() if key[0] != item}
            self.dropped = lines - len(self._offsets)
        if not repair:
            return
        if self.dropped:
            self._rewrite(list(self._offsets))
        else:
            self._begin_appending()

    def _begin_appending(self) -> None:
        with ExitStack() as opened:
            file = opened.enter_context((self._out / RECORDS).open("a+b"))
            seen = opened.enter_context((self._out / SEEN).open("ab"))
            opened.pop_all()  # both are open: close() closes them
        self._file, self._seen = file, seen

    def _rewrite(self, keys: Sequence[Key]) -> None:
        """Write the lines of some keys, in their order, and nothing else."""
        if hasattr(self, "_file"):
            self.close()
        path = self._out / RECORDS
        offsets: dict[Key, tuple[int, int]] = {}
        with whole(path) as beside, path.open("rb") as before, beside.open("wb") as after:
            for key in keys:
                place, length = self._offsets[key]
                before.seek(place)
                offsets[key] = (after.tell(), length)
                after.write(before.read(length))
            after.flush()
            os.fsync(after.fileno())
        self._offsets = offsets
        self._begin_appending()


class _Holds:
    """Says of each line of an earlier call whether it still holds, and remembers items whose file has changed."""

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
        record = as_record(line)
        known = self._seen.get(_short(line))
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


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    place = 0
    with path.open("rb") as file:
        for line in file:
            yield place, line
            place += len(line)


def _short(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:32]


def _seen_line(entry: Entry, line: bytes) -> str:
    seen: dict[str, object] = {"line": _short(line)}
    if entry.file is not None:
        seen["file"] = entry.file
    if entry.pictures:
        seen["pictures"] = entry.pictures
    return json.dumps(seen, ensure_ascii=True, separators=(",", ":")) + "\n"


def _read_seen(path: Path) -> dict[str, dict[str, Any]]:
    """Read what files looked like; a file that is missing or damaged makes everything be looked at again."""
    found: dict[str, dict[str, Any]] = {}
    if not path.is_file():
        return found
    for _, line in _lines(path):
        try:
            seen = json.loads(line)
            found[seen["line"]] = seen
        except (ValueError, TypeError, KeyError):
            continue
    return found
