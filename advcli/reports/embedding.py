"""The records of a run as the page holds them: each item once, its cases inside, nothing that the report says."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from advcli.core.fields import presentation
from advcli.core.records import Record
from advcli.core.similarities import HEADLINE
from advcli.reports.lines import read_lines

Line = Mapping[str, Any]
_KEPT = frozenset({"status", "source", "label_source", "files", "flags", "error"})  # whatever their role
_DROPPED = frozenset({"settings"})  # long, and said once in the report
_ON_THE_PAGE = (*HEADLINE, "top_tenth_iou")  # measures of likeness; all are in the files
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def fields_for_page(record: type[Record]) -> list[dict[str, object]]:
    """Say how each field that the page shows is called and what it is, in the order of the class."""
    shown = []
    for name in record.model_fields:
        how = presentation(record, name)
        if how.role != "hidden" and name not in _DROPPED:
            shown.append(
                {"name": name, "title": how.title, "role": how.role, "unit": how.unit, "terminal": how.terminal}
            )
    return shown


def embedded_items(records: Path, record: type[Record]) -> Iterator[dict[str, Any]]:
    """Group the records of each item.

    Args:
        records: records.jsonl; read once, in memory that holds one item at a time.
        record: class of the records.

    Yields:
        What all records of the item share, and ``cases``: a list of what each says besides. An item whose records do
        not stand together comes more than once. ``original`` is the address of the unchanged picture, where there is
        one, relative to the run's folder.
    """
    names = {str(one["name"]) for one in fields_for_page(record)} | _KEPT
    for _, lines in groupby(read_lines(records), key=itemgetter("item")):
        group = list(lines)
        kept = [_compact(line, names) for line in group]
        shared = {key: value for key, value in kept[0].items() if all(one.get(key) == value for one in kept)}
        cases = [{key: value for key, value in one.items() if key not in shared} for one in kept]
        original = _original(group, records.parent)
        yield {**shared, **({"original": original} if original else {}), "cases": cases}


def script_json(value: object) -> str:
    """Write JSON that can stand inside a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # Neither "</script>" nor "<!--" can end or bend the element without their first letter.
    return text.replace("<", "\\u003c")


def _compact(line: Line, names: Iterable[str]) -> dict[str, Any]:
    kept = {name: line[name] for name in line if name in names and line[name] not in (None, {}, [])}
    for name, value in kept.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            kept[name] = _pairs(value)
    if "files" in kept:
        kept["files"] = {kind: file for kind, file in kept["files"].items() if kind != "original"}
    return kept


def _pairs(rows: list[dict[str, Any]]) -> Any:
    """Write rows of a result in few letters: classes as pairs, similarities by explanation and metric."""
    if set(rows[0]) == {"name", "probability"}:
        return [[row["name"], row["probability"]] for row in rows]
    if "metric" not in rows[0]:
        return rows
    varying = [
        key
        for key in rows[0]
        if key not in ("metric", "value", "floor_noise", "explanation") and len({r[key] for r in rows}) > 1
    ]
    nested: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["metric"] not in _ON_THE_PAGE:
            continue
        name = ", ".join(str(row[key]) for key in ("explanation", *varying))
        nested.setdefault(name, {})[row["metric"]] = None if row["value"] is None else round(row["value"], 3)
    return nested


def _original(group: list[dict[str, Any]], folder: Path) -> str | None:
    """Find the unchanged picture: one that was saved, or the input itself."""
    for line in group:
        files = line.get("files")
        if isinstance(files, dict) and isinstance(files.get("original"), str):
            return str(files["original"])
    source = group[0].get("source")
    if not isinstance(source, str) or not source.lower().endswith(_PICTURES) or group[0].get("status") == "error":
        return None
    try:
        return os.path.relpath(source, folder) if Path(source).is_file() else None
    except (OSError, ValueError):
        return None
