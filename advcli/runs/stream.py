"""Products on their way to the disk: pictures drawn and written by threads, then the record, as soon as each is done.

    work (this thread) -> writers (threads) -> recorder (one thread) -> records.jsonl

The work goes on while the pictures before are drawn and written. A record is appended only when its pictures are on
disk, at once, whatever the work is doing. Memory does not grow with the number of items.
"""

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from advcli.core.records import AnyRecord, ErrorRecord
from advcli.errors import AdvcliError, UsageError
from advcli.images.writing import png_bytes, write_atomically
from advcli.runs.announcer import Announcer
from advcli.runs.command import Case, Drawing, Item, Listener, Product
from advcli.runs.grid import is_renamed, picture_path
from advcli.runs.holding import Looks, digest_of, looks, looks_of
from advcli.runs.ledger import Entry, Ledger

_WRITERS = max(1, min(4, (os.cpu_count() or 2) - 1))  # of small pictures one writes thousands a second
_TOGETHER = 16  # products that a writer takes at a time: threads that wake each other for each one hinder the network
_GATHERING = 0.02  # seconds for which a record waits for others, to be written to the disk with them
_AT_ONCE = 64  # records that are written to the disk together
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
        waiting: products that may wait for a writer.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        order: Mapping[str, int],
        cases: Sequence[Case],
        listener: Listener,
        waiting: int,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._listener = listener
        self._todo: SimpleQueue[Product | None] = SimpleQueue()
        self._done: SimpleQueue[Entry | BaseException | None] = SimpleQueue()
        self._room = threading.Semaphore(waiting)
        self._announcer = Announcer(ledger, order, [case.id for case in cases], listener)
        self._failure: BaseException | None = None
        self._shared: dict[str, tuple[str, Looks]] = {}  # what the model saw, the same for all cases of an item

    def run(self, products: Iterator[Product]) -> None:
        """Take products until there are no more.

        Raises:
            UsageError: a picture cannot be written for a reason that concerns all of them, such as a full disk.
        """
        recorder = threading.Thread(target=self._record, name="recorder")
        writers = [threading.Thread(target=self._write, name=f"writer-{place}") for place in range(_WRITERS)]
        for thread in (recorder, *writers):
            thread.start()
        try:
            for product in products:
                self._room.acquire()
                if self._failure is not None:
                    break
                self._todo.put(product)
        finally:  # an interruption keeps what is finished
            for _ in writers:
                self._todo.put(None)
            for thread in writers:
                thread.join()
            self._done.put(None)
            recorder.join()
        if self._failure is not None:
            raise self._failure

    def _write(self) -> None:
        _step_back()
        ending = False
        while not ending:
            products, ending = _taken(self._todo, _TOGETHER)
            for product in products:
                try:
                    self._done.put(self._written(product))
                except BaseException as error:  # noqa: BLE001  handed to the thread that can end the run
                    self._done.put(error)
            if products:
                self._room.release(len(products))

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
            files[kind], digests[kind], pictures[path] = path, digest, seen
        for kind, path in product.written.items():
            files[kind], digests[kind] = path, digest_of(self._folder / path)
            there = looks(self._folder / path)
            if there is not None:
                pictures[path] = there
        flags = (*record.flags, "renamed") if product.pictures and is_renamed(product.item.identity) else record.flags
        told = record.model_copy(update={"files": files, "digests": digests, "flags": flags})
        return Entry(told, product.stat, pictures)

    def _picture(self, path: str, draw: Drawing, *, shared: bool) -> tuple[str, Looks]:
        """Write one picture, unless it is one that an item's cases share and that is there already."""
        known = self._shared.get(path)
        if known is not None:
            return known
        data = _bytes(draw)
        written = (hashlib.sha256(data).hexdigest(), looks_of(write_atomically(self._folder / path, data)))
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
            taken, ending = _taken(self._done, _AT_ONCE, _GATHERING)
            entries = []
            for one in taken:
                if isinstance(one, Entry):
                    entries.append(one)
                else:
                    self._failure = self._failure or one
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


def _taken(queue: SimpleQueue[Any], most: int, patience: float = 0.0) -> tuple[list[Any], bool]:
    """Wait for one, so many seconds for more, and take what is there; say whether the end, none, was among them."""
    taken: list[Any] = []
    one = queue.get()
    if one is not None and patience:
        threading.Event().wait(patience)
    while one is not None:
        taken.append(one)
        if len(taken) == most:
            break
        try:
            one = queue.get_nowait()
        except Empty:
            break
    return taken, one is None
