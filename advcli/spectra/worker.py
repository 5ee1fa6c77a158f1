"""The process that analyzes: reads requests, one line of JSON each, and answers each with one.

    {"path": ..., "trust": ..., "first": ..., "folder": ..., "seed": ..., "traps": ...}
    {"stored": path of the analysis, "fingerprint": ..., "log": what was printed}  or  {"error": ..., "log": ...}

It runs with CUDA hidden and one BLAS thread, which ``pool.py`` sees to before anything is imported. Whatever the
library prints goes into the answer, and nothing but answers to standard output.
"""

import json
import os
import sys
import tempfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from advcli.errors import AdvcliError, ModelError

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


def read_weights(path: Path, *, trust: bool) -> "dict[str, Tensor]":
    """Read the weights of any file that holds a network or its state dict.

    Args:
        path: the file.
        trust: whether code in it may run.

    Raises:
        ModelError: it is damaged, holds no weights, or is not trusted.
    """
    from advcli.models.loading.checkpoints import read_state_dict
    from advcli.models.loading.file_format import file_format
    from advcli.models.loading.pickles import load_pickle, module_in, state_dict_in
    from advcli.models.loading.unsafe_formats import load_unsafe

    kind = file_format(path)
    if kind == "safetensors":
        return read_state_dict(path)
    if kind != "checkpoint":
        return dict(load_unsafe(path, kind, trust=trust).state_dict())
    loaded = load_pickle(path, trust=trust)
    network = module_in(loaded)
    return dict(network.state_dict()) if network is not None else state_dict_in(loaded, path)


def settings_of(request: dict[str, Any], first: str | None) -> dict[str, object]:
    """Say what decides an analysis beside the weights."""
    packages = ("weightwatcher", "numpy", "scipy", "torch")
    return {
        "seed": request["seed"],
        "traps": request["traps"],
        "first": first,
        **{package: version(package) for package in packages},
    }


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
    from advcli.spectra.analysis import analyze, fingerprint_of
    from advcli.spectra.store import load, place, save

    path = Path(request["path"])
    state = read_weights(path, trust=request["trust"])
    if any(not hasattr(values, "is_floating_point") for values in state.values()):
        raise ModelError(f"{path} holds more than tensors", "save network.state_dict()")
    first = _first(request["first"], request["trust"]) if request["first"] else None
    fingerprint = fingerprint_of(state)
    stored = place(Path(request["folder"]), fingerprint, settings_of(request, fingerprint_of(first) if first else None))
    if load(stored) is None:
        save(stored, analyze(state, seed=request["seed"], traps=request["traps"], first=first))
    return {"stored": str(stored), "fingerprint": fingerprint}


@lru_cache(maxsize=1)
def _first(path: str, trust: bool) -> "dict[str, Tensor]":  # noqa: FBT001 - a key of the cache
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
