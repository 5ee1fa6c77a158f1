"""Progress on standard error: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from advcli.cli.streams import Terminated, data
from advcli.cli.wording import counted, one_line
from advcli.errors import AdvcliError

_EVERY = 30.0  # seconds between plain lines
_WINDOW = 60.0  # seconds over which the rate is taken
_INTERRUPTED, _TERMINATED = 130, 143


class Rate:
    """Results per second over the last minute."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def add(self, place: float) -> None:
        """Note how far the run is now."""
        now = time.monotonic()
        if not self._points or now - self._points[-1][0] > 1 or len(self._points) == 1:
            self._points.append((now, place))
        else:
            self._points[-1] = (now, place)
        while len(self._points) > 2 and now - self._points[1][0] > _WINDOW:
            self._points.popleft()

    @property
    def value(self) -> float | None:
        """The rate; none before there is any progress."""
        if len(self._points) < 2:
            return None
        (began, first), (now, last) = self._points[0], self._points[-1]
        return (last - first) / (now - began) if now > began and last > first else None


class Progress:
    """Listens to a run and shows how it goes; with ``jsonl`` it also passes records on to standard output.

    Args:
        quiet: show nothing but warnings.
        jsonl: print each record as it is told of.
        out: the run's folder as shown to people, put before the files of records on standard output.

    Attributes:
        failed: items that could not be used.
        first_failure: name and reason of the first of them.
    """

    def __init__(self, *, quiet: bool, jsonl: bool, out: str) -> None:
        self._quiet = quiet
        self._jsonl = jsonl
        self._out = out
        self._bar: Any = None
        self._task: Any = None
        self._command, self._phase = "", ""
        self._total = self._kept = 0
        self._share = 0.0
        self._rate = Rate()
        self._told = time.monotonic()
        self._begun = False
        self.failed = 0
        self.first_failure: tuple[str, str] | None = None

    def begin(self, command: str, noun: tuple[str, str], total: int, done: int) -> None:  # noqa: ARG002  not items
        """Show where the run starts from."""
        self._command, self._total, self._kept, self._begun = command, total, done, True
        self._told = time.monotonic()
        self._rate.add(done)
        if self._quiet:
            return
        if done:
            print(f"{done:,} of {counted(total, ('result', 'results'))} were done before", file=sys.stderr)
        if total > done and _is_screen() and not (self._jsonl and data().isatty()):
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(command, total=total, completed=done, rate="", phase="")

    def phase(self, text: str) -> None:
        """Show what is being done now."""
        self._phase = one_line(text)
        self._show()

    def progress(self, share: float) -> None:
        """Move on by a part of what is being worked on."""
        self._share = share
        self._show()

    def finished(self, count: int) -> None:
        """Count results that are on disk now."""
        self._kept += count
        self._share = max(0.0, self._share - count)
        self._show()

    def record(self, record: Mapping[str, Any]) -> None:
        """Pass a record on, and remember it where it is a failure."""
        if record["status"] == "error":
            self.failed += 1
            self.first_failure = self.first_failure or (str(record["item"]), str(record.get("error")))
        if self._jsonl:
            data().write(json.dumps(placed(record, self._out), ensure_ascii=False) + "\n")

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"warning: {one_line(text)}", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        stopped = isinstance(error, KeyboardInterrupt | Terminated)
        if stopped and self._begun:
            word, code = ("interrupted", _INTERRUPTED) if kind is KeyboardInterrupt else ("terminated", _TERMINATED)
            kept = f"{word}; kept {self._kept:,} of {counted(self._total, ('result', 'results'))}"
            raise AdvcliError(kept, "the same command goes on from there", code) from None

    def _show(self) -> None:
        if self._quiet or not self._begun:
            return
        place = min(self._kept + self._share, self._total)
        self._rate.add(place)
        speed = self._rate.value
        if self._bar is not None:
            rate = f"{speed:.1f}/s" if speed else ""
            self._bar.update(self._task, completed=place, rate=rate, phase=self._phase)
        elif time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            words = [f"{self._command}: {place:,.0f} of {counted(self._total, ('result', 'results'))}"]
            words += [f"{speed:.2g}/s", f"{(self._total - place) / speed:,.0f} s left"] if speed else []
            words += [self._phase] if self._phase else []
            print(", ".join(words), file=sys.stderr)


def placed(line: Mapping[str, Any], out: str) -> dict[str, Any]:
    """Say where a record's pictures can be opened from here, instead of from inside the run's folder."""
    files = {kind: f"{out.rstrip('/')}/{path}" for kind, path in (line.get("files") or {}).items()}
    return {**line, "files": files}


def _is_screen() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _bar() -> Any:
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Hashes(progress.ProgressColumn):
        """A bar that needs no colors."""

        def render(self, task: progress.Task) -> Text:
            full = int(24 * (task.percentage or 0) / 100)
            return Text("[" + "#" * full + "." * (24 - full) + "]")

    plain = bool(os.environ.get("NO_COLOR"))
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        Hashes() if plain else progress.BarColumn(24),
        progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[phase]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
