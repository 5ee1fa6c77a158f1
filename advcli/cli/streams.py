"""Standard output belongs to our data, enforced where no library can get round it: at the file descriptors.

Libraries print to standard output behind one's back, some of them from C or from child processes. While advcli runs,
descriptor 1 points where descriptor 2 does, and our own data goes out through a copy of the old descriptor 1.

Data that cannot be written ends the run with ``OutputLost``; messages that cannot be written are lost without a word,
because there is nowhere left to say so.
"""

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_data: list[TextIO] = []


class OutputLost(BaseException):
    """Standard output takes no more data: its reader has gone, it is full, or it is closed.

    Not an Exception, so that nothing on the way takes it for a failure of its own: libraries exit with 1.

    Args:
        reason: why, in words; empty where the reader has gone.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def data() -> TextIO:
    """The stream for data: what was standard output when the process began."""
    return _data[-1] if _data else sys.stdout


@contextmanager
def protected() -> Iterator[None]:
    """Keep standard output for ``data()`` until the context ends, then put everything back."""
    closed = _fill_in()
    before, talk_before = sys.stdout, sys.stderr
    if before is not None:
        before.flush()
    kept = os.dup(1)
    out = _text(_Data(os.dup(1), closed=1 in closed), "surrogateescape")
    os.dup2(2, 1)
    sys.stderr = _text(_Talk(2, "w", closefd=False), "backslashreplace")
    _data.append(out)
    sys.stdout = out  # help and completion print here; a command's body gets standard error instead, see talking
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = before, talk_before
        _data.pop()
        os.dup2(kept, 1)
        os.close(kept)
        with suppress(OutputLost):  # whoever wants to know has flushed before
            out.close()


@contextmanager
def talking() -> Iterator[None]:
    """Send every ``print`` inside the context to standard error."""
    before = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = before


class Terminated(BaseException):
    """SIGTERM has come; not an Exception, so that nothing on the way takes it for a failure of its own."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM (a cluster's pre-emption, ``timeout``) into an exit that keeps what is finished: status 143."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Data(io.FileIO):
    """A file that says once what is wrong with it, and from then on takes everything, so that it can be closed."""

    def __init__(self, number: int, *, closed: bool) -> None:
        super().__init__(number, "w")
        self._reason = "it is closed" if closed else None
        self._lost = False

    def write(self, data: "ReadableBuffer", /) -> int | None:  # type: ignore[override]  # as io.FileIO has it
        """Write bytes, or raise OutputLost where that fails for the first time."""
        if self._lost:
            return memoryview(data).nbytes
        try:
            if self._reason is None:
                return super().write(data)
        except OSError as error:
            self._reason = "" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
        self._lost = True
        raise OutputLost(self._reason)


class _Talk(io.FileIO):
    """A file that takes everything, also where it leads nowhere."""

    def write(self, data: "ReadableBuffer", /) -> int | None:  # type: ignore[override]  # as io.FileIO has it
        """Write bytes, or lose them."""
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


def _text(raw: io.FileIO, errors: str) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=True)


def _fill_in() -> set[int]:
    """Lead standard streams that are closed nowhere, before a file that is opened later gets such a number.

    Returns:
        The descriptors that were closed.
    """
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    return closed
