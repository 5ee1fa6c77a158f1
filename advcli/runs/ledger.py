"""The ledger of a run: records.jsonl, and beside it what the files looked like when their records were written.

records.jsonl is the only truth about what is done, one line per item and case, appended as results are finished. It
holds no times. ``.seen.jsonl`` beside it keeps, for each line, the line's digest and the size, time stamp and inode of
the item's file and of the pictures. A file that still looks the same is not read again; one that does not is hashed
and held against the record. So a changed input, a damaged picture and an edited record are noticed, whatever their
time stamps, and a folder that was copied is believed after one look at its bytes.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from advcli.core.records import AnyRecord, Record
from advcli.errors import UsageError
from advcli.images.writing import whole
from advcli.reports.lines import as_record
from advcli.runs.command import Item
from advcli.runs.grid import natural
from advcli.runs.holding import Holds, Key, Looks, looks, short_digest

RECORDS = "records.jsonl"
SEEN = ".seen.jsonl"


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
        """Write records down to the disk before anything else is said of them.

        Raises:
            UsageError: the file was deleted or moved, so that nothing would come of all further work.
        """
        self._refuse_if_lost()
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

    def _refuse_if_lost(self) -> None:
        path = self._out / RECORDS
        there = looks(path)
        if there is None or there[-1] != os.fstat(self._file.fileno()).st_ino:
            raise UsageError(f"{path} was deleted or replaced during the run", "give the command again")

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
            holds = Holds(self._out, self._model, self._items, self._axes, seen)
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


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    place = 0
    with path.open("rb") as file:
        for line in file:
            yield place, line
            place += len(line)


def _seen_line(entry: Entry, line: bytes) -> str:
    seen: dict[str, object] = {"line": short_digest(line)}
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
