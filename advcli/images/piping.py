"""What another program hands over on stdin: paths, or another command's records."""

import json
import os
from typing import BinaryIO, NamedTuple

from advcli.errors import UsageError
from advcli.images.sources import is_identity

_BOM = b"\xef\xbb\xbf"


class Handed(NamedTuple):
    """A picture that came over a pipe.

    Args:
        name: the path to open.
        path: identity that it had in the command before, where it came as a record; for an adversarial picture with
            the case behind it (``cat/0000.png.pgd-8_255``), so that an image under two cases is two pictures.
        label: its class, where the command before was told it.
    """

    name: str
    path: str | None = None
    label: str | None = None


def read_handed(stream: BinaryIO, *, null_separated: bool) -> list[Handed]:
    """Read a list of paths, or records where the first byte is ``{``.

    A record stands for its adversarial picture where it has one (``files.adversarial``), else for its ``source``. It
    keeps its identity, and its label unless that was only predicted. Records of failures and of cases that do not
    apply are passed over.

    Args:
        stream: read to its end.
        null_separated: what comes are paths, whatever the first byte, with NUL between them.

    Returns:
        What was named, in order; empty lines are skipped, wildcards mean nothing.

    Raises:
        UsageError: a line that should be a record is none, or paths come with NUL unannounced.
    """
    data = stream.read().removeprefix(_BOM)
    if null_separated:
        return [Handed(os.fsdecode(name)) for name in data.split(b"\0") if name]
    if data.startswith(b"{"):
        return _records(data)
    if b"\0" in data:
        raise UsageError("the paths on stdin have NUL characters between them", "add -0")
    return [Handed(os.fsdecode(name)) for line in data.split(b"\n") if (name := line.removesuffix(b"\r"))]


def _records(data: bytes) -> list[Handed]:
    handed = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(
                f"line {number} on stdin is not a record: {error}",
                "pipe what a command prints with --jsonl; a path that begins with { is written ./{",
            ) from error
        if not isinstance(record, dict):
            raise UsageError(
                f"line {number} on stdin is JSON, but no record", "pipe what a command prints with --jsonl"
            )
        if record.get("status") not in ("error", "not-applicable"):
            handed.append(_picture(record, number))
    return handed


def _picture(record: dict[str, object], number: int) -> Handed:
    files = record.get("files")
    adversarial = files.get("adversarial") if isinstance(files, dict) else None
    name = adversarial or record.get("source")
    if not isinstance(name, str) or not _openable(name):
        raise UsageError(
            f"the record on line {number} of stdin names no picture",
            "it needs a `source`, or an `adversarial` in `files`",
        )
    path, case, label = record.get("item", record.get("path")), record.get("case"), record.get("label")
    if adversarial and isinstance(path, str) and isinstance(case, str) and case:
        path = f"{path}.{case}"
    return Handed(
        name,
        path if isinstance(path, str) and is_identity(path) and _openable(path) else None,
        label if isinstance(label, str) and record.get("label_source") != "predicted" else None,
    )


def _openable(name: str) -> bool:
    try:
        return len(os.fsencode(name)) > 0 and "\0" not in name
    except UnicodeEncodeError:  # JSON can spell characters that are none
        return False
