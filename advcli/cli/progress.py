"""Progress on standard error: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet."""

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from advcli.cli.streams import data

if TYPE_CHECKING:
    from advcli.core.results import Record

_EVERY = 30.0  # seconds between plain lines


class Progress:
    """Listens to a run and shows how it goes; with ``jsonl`` it also passes records on to standard output.

    Args:
        quiet: show nothing but warnings.
        jsonl: print each record as it is finished.
        out: the run's folder as typed, put before the files of records on standard output.
    """

    def __init__(self, *, quiet: bool, jsonl: bool, out: str) -> None:
        self._quiet = quiet
        self._jsonl = jsonl
        self._out = out
        self._bar: Any = None
        self._task: Any = None
        self._total = self._done = self._fresh = 0
        self._last = self._began = time.monotonic()
        self._path: str | None = None
        self.refused: list[tuple[str, str]] = []

    def begin(self, total: int, done: int) -> None:
        """Show where the run starts from."""
        self._total, self._done = total, done
        self._began = self._last = time.monotonic()
        if self._quiet:
            return
        if done:
            print(f"{done} of {total} images were done before", file=sys.stderr)
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and total > done:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=total, completed=done, rate="")

    def record(self, record: "Record") -> None:
        """Count one image when its first record comes, and pass the record on."""
        if record.path != self._path:
            self._path = record.path
            self._done += 1
            self._fresh += 1
            if record.status == "error":
                self.refused.append((record.path, str(record.error)))
            self._show()
        if self._jsonl:
            data().write(placed(record, self._out).model_dump_json() + "\n")

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"warning: {text}", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show(self) -> None:
        now = time.monotonic()
        speed = self._fresh / max(now - self._began, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, rate=f"{speed:.1f} images/s")
        elif not self._quiet and now - self._last > _EVERY:
            self._last = now
            left = (self._total - self._done) / speed
            print(f"{self._done} of {self._total} images, {speed:.1f} images/s, {left:.0f} s left", file=sys.stderr)


def placed(record: "Record", out: str) -> "Record":
    """Say where a record's pictures can be opened from here, instead of from inside the run's folder."""
    files = {kind: f"{out.rstrip('/')}/{path}" for kind, path in record.files.items()}
    return record.model_copy(update={"files": files})


def _bar() -> Any:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
