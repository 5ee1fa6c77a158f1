"""The process that analyzes: reads requests, one line of JSON each, and answers each with one.

    {"path": ..., "folder": ..., ...}, the fields of ``pool.Request``
    {"stored": path of the analysis, "log": what was printed}  or  {"error": ..., "log": ...}

It runs with CUDA hidden and one BLAS thread, which ``pool.py`` sees to before anything is imported. Whatever the
library prints goes into the answer, and nothing but answers to standard output.
"""

import json
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from advcli.errors import AdvcliError

if TYPE_CHECKING:
    from torch import Tensor


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        for line in sys.stdin:
            answer = _answer(json.loads(line))
            answers.write(json.dumps({**answer, "log": _drained(log)}) + "\n")
            answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, object]:
    try:
        return _analyzed(request)
    except AdvcliError as error:
        return {"error": error.message}
    except MemoryError:
        return {"error": "there is not enough memory"}
    except Exception as error:  # noqa: BLE001 - one checkpoint must not end the run
        return {"error": f"{type(error).__name__}: {error}"}


def _analyzed(request: dict[str, Any]) -> dict[str, object]:
    from advcli.spectra.analysis import analyze
    from advcli.spectra.reading import read_weights
    from advcli.spectra.store import load, place, save
    from advcli.spectra.weights import fingerprint_of

    state = read_weights(Path(request["path"]), trust=request["trust"])
    fingerprint = fingerprint_of(state)
    stored = place(
        Path(request["folder"]), fingerprint, request["seed"], request["first_sha256"], traps=request["traps"]
    )
    if load(stored) is None:
        first = _first(request["first"], request["trust"]) if request["first"] else None
        save(stored, analyze(state, seed=request["seed"], traps=request["traps"], first=first))
    return {"stored": str(stored)}


@lru_cache(maxsize=1)
def _first(path: str, trust: bool) -> "dict[str, Tensor]":  # noqa: FBT001 - a key of the cache
    from advcli.spectra.reading import read_weights

    return read_weights(Path(path), trust=trust)


def _drained(log: BinaryIO) -> str:
    """Take what was printed since the last time."""
    sys.stdout.flush()
    sys.stderr.flush()
    log.seek(0)
    text = log.read().decode("utf-8", "replace")
    log.seek(0)
    log.truncate()
    return text


if __name__ == "__main__":
    main()
