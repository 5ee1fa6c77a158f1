"""The folder of a run: opened once at a time, continued by the same settings, refused to others."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advcli.core.records import SCHEMA_VERSION
from advcli.core.report import ModelReport, Report
from advcli.errors import UsageError
from advcli.images.writing import write_atomically
from advcli.runs.ledger import RECORDS, SEEN

_OF_THE_MODEL = ("fingerprint", "classes", "size", "resize", "interpolation", "mean", "std")
_OF_THE_MACHINE = ("device", "precision")
REPORT = "report.json"
_OURS = (
    *(REPORT, RECORDS, SEEN, "records.parquet", "index.html", "images", "figures", "tables"),
    *("model.safetensors", "best.safetensors", "checkpoint.pt", "checkpoints", "tracking"),  # of train
    *("spectra", "films", "weightwatcher.log"),  # of esd
)
_LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # what a killed run was writing; see ``images.writing.whole``


@contextmanager
def opened(out: Path, *, overwrite: bool) -> Iterator[Report | None]:
    """Make a run's folder, or go back to it, and keep other processes out meanwhile.

    Args:
        out: the folder, absolute.
        overwrite: throw away the run that is in it.

    Yields:
        The report of the run that is there to be continued, or none.

    Raises:
        UsageError: it cannot be written, holds something else than a run, another process is at work in it, or it was
            deleted or moved away meanwhile.
    """
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}", "give another --out") from error
    try:
        _lock(handle, out)
        if overwrite and is_run(out):
            _clear(out)
        before = report_in(out)
        _try_writing(out)
        if before is not None:
            _remove_leftovers(out)
        yield before
        _refuse_if_lost(handle, out)
    except BaseException as error:
        if isinstance(error, Exception):  # whatever went wrong, this is why
            _refuse_if_lost(handle, out)
        if fresh and out.exists() and not any(out.iterdir()):
            out.rmdir()  # nothing came of it: leave no trace
        raise
    finally:
        os.close(handle)


def save_report(out: Path, report: Report) -> None:
    """Write report.json, whole or not at all."""
    write_atomically(out / REPORT, (report.model_dump_json(indent=2) + "\n").encode())


def report_in(out: Path) -> Report | None:
    """Read the report of the run in a folder; none where the folder is missing or empty.

    Raises:
        UsageError: the folder holds something else, or a report that cannot be continued.
    """
    path = out / REPORT
    if not path.exists():
        if out.exists() and any(not _LEFTOVER.fullmatch(inside.name) for inside in out.iterdir()):
            raise UsageError(f"{out} is not empty and holds no run of advcli", "give another --out")
        return None
    try:
        raw = json.loads(path.read_bytes())
        if isinstance(raw, dict) and raw.get("schema_version") != SCHEMA_VERSION and "command" in raw:
            there = raw.get("schema_version")
            raise UsageError(
                f"{out} holds a run with schema version {there}, not {SCHEMA_VERSION}",
                "give another --out, or --overwrite to throw that run away",
            )
        return Report.model_validate(raw)
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise UsageError(
            f"{path} is not the report of a run of advcli",
            "give another --out, or --overwrite to throw that run away" if is_run(out) else "give another --out",
        ) from error


def is_run(out: Path) -> bool:
    """Say whether a folder was made by a run: it holds a report, or at least records, of ours."""
    if (out / RECORDS).is_file() and (out / SEEN).is_file():
        return True
    try:
        raw = json.loads((out / REPORT).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and {"schema_version", "command", "settings"} <= raw.keys()


def require_same(before: Report, now: Report, out: Path) -> None:
    """Refuse to continue a run with other settings.

    Raises:
        UsageError: naming what differs.
    """
    there, here = _identity(before), _identity(now)
    differing = [
        f"{key} {_short(there.get(key))} there, {_short(value)} now"
        for key, value in here.items()
        if there.get(key) != value
    ]
    known = {model.name: model for model in before.models}
    for model in now.models:
        if model.name in known:
            differing += _other_model(known[model.name], model)
    if differing:
        raise UsageError(
            f"{out} holds a run with other settings: {'; '.join(differing[:4])}",
            "give another --out, or --overwrite to throw that run away",
        )


def _identity(report: Report) -> dict[str, Any]:
    """What a run must share to be the same run; cases, batch size, threads and the list of inputs are not among it."""
    return {
        "command": report.command,
        **json.loads(json.dumps(report.settings, default=str)),
        "seed": report.seed,
        **{key: str(report.environment.get(key, "")).partition(":")[0] for key in _OF_THE_MACHINE},
        "block": report.block,
    }


def _other_model(there: ModelReport, here: ModelReport) -> list[str]:
    differing = [key for key in _OF_THE_MODEL if getattr(there, key) != getattr(here, key)]
    if "fingerprint" in differing:
        return [f"model {here.name} has other weights than there"]
    return [
        f"{key} of model {here.name} {_short(getattr(there, key))} there, {_short(getattr(here, key))} now"
        for key in differing
    ]


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another advcli is at work in {out}", "wait for it, or give another --out") from None


def _refuse_if_lost(handle: int, out: Path) -> None:
    """Refuse to go on where the folder is not the one that was opened.

    Raises:
        UsageError: it was deleted, or another is in its place.
    """
    try:
        lost = not os.path.samestat(os.fstat(handle), out.stat())
    except OSError:
        lost = True
    if lost:
        raise UsageError(
            f"{out} was deleted or moved away during the run", "remove what is left there, and give the command again"
        )


def _clear(out: Path) -> None:
    """Remove what a run leaves behind, and nothing else."""
    _remove_leftovers(out)
    for name in _OURS:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _remove_leftovers(out: Path) -> None:
    """Remove the temporary files of a killed run."""
    for folder, _, names in os.walk(out):
        for name in names:
            if _LEFTOVER.fullmatch(name):
                (Path(folder) / name).unlink(missing_ok=True)


def _try_writing(out: Path) -> None:
    probe = out / f".advcli-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}", "give another --out") from error
