"""The folder of a run: opened once at a time, continued by the same settings, refused to others."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from advcli.core.results import Report
from advcli.errors import UsageError
from advcli.images.writing import write_atomically

_OF_THE_MODEL = ("fingerprint", "classes", "size", "resize", "interpolation", "mean", "std")
REPORT = "report.json"
RECORDS = "records.jsonl"
_OURS = (
    *(REPORT, RECORDS, "records.parquet", "index.html", "images", "figures", "tables"),
    *("model.safetensors", "checkpoint.pt"),  # of train
)


@contextmanager
def opened(out: Path, *, overwrite: bool) -> Iterator[Mapping[str, Any] | None]:
    """Make a run's folder, or go back to it, and keep other processes out meanwhile.

    Args:
        out: the folder.
        overwrite: throw away the run that is in it.

    Yields:
        The report of the run that is there to be continued, or none.

    Raises:
        UsageError: it cannot be written, holds something else than a run, or another process is at work in it.
    """
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}", "give another --out") from error
    try:
        _lock(handle, out)
        before = _report_in(out)
        if overwrite and before is not None:
            _clear(out)
            before = None
        _try_writing(out)
        yield before
    except BaseException:
        if fresh and not any(out.iterdir()):
            out.rmdir()  # nothing came of it: leave no trace
        raise
    finally:
        os.close(handle)


def save_report(out: Path, report: Report) -> None:
    """Write report.json, whole or not at all."""
    write_atomically(out / REPORT, (report.model_dump_json(indent=2) + "\n").encode())


def require_same(before: Mapping[str, Any], now: Report, out: Path) -> None:
    """Refuse to continue a run with other settings.

    Raises:
        UsageError: naming what differs.
    """
    there, here = _identity(before), _identity(json.loads(now.model_dump_json()))
    differing = [
        f"{key} {there.get(key)!r} there, {here.get(key)!r} now" for key in here if there.get(key) != here[key]
    ]
    if differing:
        shown = "; ".join(differing[:3])
        raise UsageError(
            f"{out} holds a run with other settings: {shown}",
            "give another --out, or --overwrite to throw that run away",
        )


def _identity(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a run must share to be the same run; batch size, threads and the list of inputs are not among it."""
    model = report.get("model") or {}  # none where the run is to make the model: then there is nothing to compare
    return {
        "command": report["command"],
        **report["settings"],
        "seed": report["seed"],
        "schema_version": report["schema_version"],
        **{f"model {key}": model[key] for key in _OF_THE_MODEL if key in model},
        "device": str(report["environment"].get("device", "")).partition(":")[0],
        "precision": report["environment"].get("precision"),
        "block": report["block"],
    }


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another advcli is at work in {out}", "wait for it, or give another --out") from None


def _report_in(out: Path) -> Mapping[str, Any] | None:
    path = out / REPORT
    if not path.exists():
        if any(out.iterdir()):
            raise UsageError(f"{out} is not empty and holds no run of advcli", "give another --out")
        return None
    try:
        report = json.loads(path.read_bytes())
        _identity(report)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is not the report of a run of advcli", "give another --out") from None
    return report  # type: ignore[no-any-return]


def _clear(out: Path) -> None:
    """Remove what a run leaves behind, and nothing else."""
    for name in _OURS:
        path = out / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _try_writing(out: Path) -> None:
    probe = out / f".advcli-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}", "give another --out") from error
