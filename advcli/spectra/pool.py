"""Several checkpoints analyzed at once, each in a process whose environment suits WeightWatcher and nothing else."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import advcli

Key = TypeVar("Key")
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",  # with CUDA visible the library casts weights to fp16
    "OMP_NUM_THREADS": "1",  # two threads on busy cores take ten times as long
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "MPLBACKEND": "Agg",  # the library imports pyplot: no window may open
}


@dataclass(frozen=True)
class Request:
    """One checkpoint to be analyzed.

    Args:
        path: the file of its weights.
        folder: where analyses are kept.
        trust: whether code in the file may run.
        first: file of the checkpoint that distances are measured from; none for no distances.
        first_sha256: of that file.
        seed: of the shuffles.
        traps: look for correlation traps.
    """

    path: str
    folder: str
    trust: bool = False
    first: str | None = None
    first_sha256: str | None = None
    seed: int = 0
    traps: bool = False


@dataclass(frozen=True)
class Analyzed:
    """What came of a request.

    Args:
        stored: file of the analysis, see ``store.load``; none where there is an error.
        error: why there is no analysis.
        log: what the library printed and warned of.
    """

    stored: Path | None
    error: str | None
    log: str


class Pool:
    """Processes that analyze checkpoints; started when they are needed, ended with the context.

    Args:
        jobs: how many at once, 1 or more.
    """

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        self._free: list[subprocess.Popen[str]] = []
        self._all: list[subprocess.Popen[str]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def analyze(self, requests: Iterable[tuple[Key, Request]]) -> Iterator[tuple[Key, Analyzed]]:
        """Analyze checkpoints, and give each answer as it comes.

        Args:
            requests: what each is known by, and what is asked; taken lazily.
        """
        rest = iter(requests)
        running: dict[Future[Analyzed], Key] = {}
        with ThreadPoolExecutor(self._jobs, "analysis") as threads:
            try:
                while True:
                    for name, request in islice(rest, max(0, self._jobs - len(running))):
                        running[threads.submit(self.ask, request)] = name
                    if not running:
                        return
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(done), done.result()
            finally:
                if running:  # interrupted: do not wait for what nobody will read
                    self.close()

    def ask(self, request: Request) -> Analyzed:
        """Analyze one checkpoint, in a process that is free or new."""
        process = self._take()
        try:
            answer = _exchange(process, asdict(request))
        except (OSError, ValueError):
            answer = None
        if answer is None:
            code = process.wait()
            return Analyzed(None, f"its analysis ended with exit code {code}", "")
        with self._lock:
            self._free.append(process)
        stored = answer.get("stored")
        return Analyzed(Path(stored) if stored else None, answer.get("error"), str(answer.get("log", "")))

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            processes, self._all, self._free = self._all, [], []
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _take(self) -> "subprocess.Popen[str]":
        with self._lock:
            if self._free:
                return self._free.pop()
            process = _start()
            self._all.append(process)
            return process


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of an analyzing process.

    Args:
        base: of this process.
    """
    home = str(Path(advcli.__file__).parents[1])
    paths = [home, *filter(None, base.get("PYTHONPATH", "").split(os.pathsep))]
    return {**base, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)}


def _start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        # -P: a file of the user's that is called like one of Python's own must not be imported.
        [sys.executable, "-P", "-m", "advcli.spectra.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(os.environ),
        encoding="utf-8",
        start_new_session=True,  # an interruption from the keyboard is for us, who then end it
    )


def _exchange(process: "subprocess.Popen[str]", request: Mapping[str, object]) -> dict[str, Any] | None:
    """Ask a process; none where it ended instead of answering."""
    pipes: tuple[IO[str] | None, IO[str] | None] = (process.stdin, process.stdout)
    if pipes[0] is None or pipes[1] is None:
        return None
    pipes[0].write(json.dumps(request) + "\n")
    pipes[0].flush()
    line = pipes[1].readline()
    answer: dict[str, Any] | None = json.loads(line) if line else None
    return answer
