"""Reading records.jsonl: whole lines only, what is no record passed over."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a run; a torn last line, and lines that are no JSON objects, are passed over."""
    with path.open("rb") as file:
        for line in file:
            record = as_record(line)
            if record is not None:
                yield record


def as_record(line: bytes) -> dict[str, Any] | None:
    """Read one line of records.jsonl; none where it is torn, or no record."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("item"), str):
        return None
    return record
