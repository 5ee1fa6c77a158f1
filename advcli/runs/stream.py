"""Products on their way to the disk: pictures drawn and written by threads, then the record, as soon as each is done.

    work (this thread) -> writers (threads) -> recorder (one thread) -> records.jsonl

The work goes on while the pictures before are drawn and written. A record is appended only when its pictures are on
disk, at once, whatever the work is doing. Memory does not grow with the number of items.
"""

import errno
import hashlib
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from advcli.core.records import AnyRecord, ErrorRecord
from advcli.errors import AdvcliError, UsageError
from advcli.images.writing import png_bytes, write_atomically
from advcli.reports.lines import as_record
from advcli.runs.command import Case, Drawing, Item, Listener, Product
from advcli.runs.grid import is_renamed, picture_path
from advcli.runs.ledger import Entry, Ledger, Looks, digest_of, looks

_WRITERS = 2
_WAITING = 64  # products that may wait for a writer; more would be memory, not speed
_NICENESS = 5  # of the writers: the network goes first
_REMEMBERED = 4096  # shared pictures; one that is forgotten is written again
SHARED = "original"
_OF_THE_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL}


class Stream:
    """Takes products, and keeps what is finished whatever happens.

    Args:
        ledger: takes the records.
        folder: of the run.
        order: place of each item of this call in the listing.
        cases: of this call.
        listener: hears of every record.
    """

    def __init__(
        self, ledger: Ledger, folder: Path, order: Mapping[str, int], cases: Sequence[Case], listener: Listener
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._listener = listener
        self._done: queue.Queue[Entry | BaseException | None] = queue.Queue()
        self._room = threading.Semaphore(_WAITING)
        self._announcer = Announcer(ledger, order, [case.id for case in cases], listener)
        self._failure: BaseException | None = None
        self._shared: dict[str, tuple[str, Looks | None]] = {}  # what the model saw, the same for all cases of an item

    def run(self, products: Iterator[Product]) -> None:
        """Take products until there are no more.

        Raises:
            UsageError: a picture cannot be written for a reason that concerns all of them, such as a full disk.
        """
        recorder = threading.Thread(target=self._record, name="recorder")
        recorder.start()
        writers = ThreadPoolExecutor(_WRITERS, "writer", _step_back)
        try:
            for product in products:
                self._room.acquire()
                if self._failure is not None:
                    break
                writers.submit(self._write, product)
        finally:  # an interruption keeps what is finished
            writers.shutdown()
            self._done.put(None)
            recorder.join()
        if self._failure is not None:
            raise self._failure

    def _write(self, product: Product) -> None:
        try:
            self._done.put(self._written(product))
        except BaseException as error:  # noqa: BLE001  handed to the thread that can end the run
            self._done.put(error)
        finally:
            self._room.release()

    def _written(self, product: Product) -> Entry:
        """Draw and write the pictures of one product; a name that cannot be written is an error of this one alone."""
        record = product.record
        files: dict[str, str] = {}
        digests: dict[str, str] = {}
        pictures: dict[str, Looks] = {}
        for kind, (ending, draw) in product.pictures.items():
            path = picture_path(product.item.identity, ending)
            try:
                digest, seen = self._picture(path, draw, shared=kind == SHARED)
            except UsageError as error:
                reason = error.__cause__
                if not (isinstance(reason, OSError) and reason.errno in _OF_THE_NAME):
                    raise
                return Entry(_unwritable(product.item, record, error), product.stat, {})
            files[kind], digests[kind] = path, digest
            if seen is not None:
                pictures[path] = seen
        for kind, path in product.written.items():
            files[kind], digests[kind] = path, digest_of(self._folder / path)
            seen = looks(self._folder / path)
            if seen is not None:
                pictures[path] = seen
        flags = (*record.flags, "renamed") if product.pictures and is_renamed(product.item.identity) else record.flags
        told = record.model_copy(update={"files": files, "digests": digests, "flags": flags})
        return Entry(told, product.stat, pictures)

    def _picture(self, path: str, draw: Drawing, *, shared: bool) -> tuple[str, Looks | None]:
        """Write one picture, unless it is one that an item's cases share and that is there already."""
        known = self._shared.get(path)
        if known is not None:
            return known
        data = _bytes(draw)
        write_atomically(self._folder / path, data)
        written = (hashlib.sha256(data).hexdigest(), looks(self._folder / path))
        if shared:
            if len(self._shared) >= _REMEMBERED:
                self._shared.clear()
            self._shared[path] = written
        return written

    def _record(self) -> None:
        """Append what is finished, all that there is at a time: one write to the disk for many records."""
        self._told([])
        ending = False
        while not ending:
            entries: list[Entry] = []
            one = self._done.get()
            while True:
                if one is None:
                    ending = True
                elif isinstance(one, Entry):
                    entries.append(one)
                else:
                    self._failure = self._failure or one
                try:
                    one = self._done.get_nowait()
                except queue.Empty:
                    break
            if entries and self._failure is None:
                self._told(entries)

    def _told(self, entries: Sequence[Entry]) -> bool:
        """Append records and tell the listener of them; say whether that went well."""
        try:
            if entries:
                self._ledger.append(entries)
            self._announcer(entries)
        except BaseException as error:  # noqa: BLE001  handed to the thread that can end the run
            self._failure = error
        return self._failure is None


class Announcer:
    """Tells a listener of records in listing order, as soon as that order allows.

    Args:
        ledger: where records are read back.
        order: place of each item in the listing.
        cases: ids, in their order.
        listener: hears of every record.
    """

    def __init__(self, ledger: Ledger, order: Mapping[str, int], cases: Sequence[str], listener: Listener) -> None:
        self._ledger = ledger
        self._listener = listener
        self._cases = {case: place for place, case in enumerate(cases)}
        self._items = sorted(order, key=order.__getitem__)
        self._place = 0  # of the item that is to be told of next
        self._finished: dict[str, set[str | None]] = {}
        for item, case in ledger.done:  # what an earlier call finished is told of in its place
            if item in order and case in self._cases:
                self._finished.setdefault(item, set()).add(case)

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Tell of records that are on disk now."""
        for entry in entries:
            self._finished.setdefault(entry.record.item, set()).add(entry.record.case)
        if entries:
            self._listener.finished(len(entries))
        while self._place < len(self._items) and self._complete(self._items[self._place]):
            item = self._items[self._place]
            for case in sorted(self._finished.pop(item, set()), key=lambda case: self._cases.get(case or "", -1)):
                record = as_record(self._ledger.line((item, case)))
                if record is not None:
                    self._listener.record(record)
            self._place += 1

    def _complete(self, item: str) -> bool:
        finished = self._finished.get(item, set())
        return None in finished or finished.issuperset(self._cases)


def _unwritable(item: Item, record: AnyRecord, error: AdvcliError) -> ErrorRecord:
    return ErrorRecord(
        item=item.identity,
        path=item.identity if item.file is not None else None,
        source=record.source,
        sha256=record.sha256,
        bytes=record.bytes,
        case=record.case,
        error=f"its pictures cannot be written: {error.message}",
    )


def _bytes(draw: Drawing) -> bytes:
    drawn = draw()
    return png_bytes(drawn) if isinstance(drawn, np.ndarray) else drawn


def _step_back() -> None:
    """Let the threads of the network go first, where the system knows priorities of threads."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
