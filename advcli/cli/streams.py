"""Standard output belongs to our data, enforced where no library can get round it: at the file descriptors.

Libraries print to standard output behind one's back, some of them from C or from child processes. While advcli runs,
descriptor 1 points where descriptor 2 does, and our own data goes out through a copy of the old descriptor 1.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

_data: list[TextIO] = []


def data() -> TextIO:
    """The stream for data: what was standard output when the process began."""
    return _data[-1] if _data else sys.stdout


@contextmanager
def protected() -> Iterator[None]:
    """Keep standard output for ``data()`` until the context ends, then put everything back."""
    sys.stdout.flush()
    kept = os.dup(1)
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="surrogateescape")
    before = sys.stdout
    os.dup2(2, 1)
    _data.append(out)
    sys.stdout = out  # help and completion print here; a command's body gets standard error instead, see talking
    try:
        yield
        out.flush()
    finally:
        sys.stdout = before
        _data.pop()
        os.dup2(kept, 1)
        os.close(kept)
        _close_quietly(out)


@contextmanager
def talking() -> Iterator[None]:
    """Send every ``print`` inside the context to standard error."""
    before = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = before


class Terminated(SystemExit):
    """SIGTERM has come; the exit code is 143."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM (a cluster's pre-emption, ``timeout``) into an exit that keeps what is finished: status 143."""

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _close_quietly(out: TextIO) -> None:
    """Close a stream whose reader may be gone."""
    try:
        out.close()
    except BrokenPipeError:
        return
