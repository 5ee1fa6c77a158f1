"""index.html: a run to look at, in one file that asks nothing of the network."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advcli.core.results import Report
from advcli.images.writing import whole
from advcli.reports.ledger import read_lines
from advcli.reports.summary import NOTHING, number, spoken, tables

_TEMPLATES = Path(__file__).parent / "templates"
# Long, of no use in the page, or the same for every record of a method and said once in the report.
_LEFT_OUT = frozenset({"source", "sha256", "settings"})


def render_page(report: Report, records: Path, charts: Mapping[str, bytes], path: Path) -> None:
    """Write the page of a run, in memory that does not grow with the number of records.

    Names of files and classes come from outside and may be anything: they are escaped here, and the page's script
    never takes them for HTML. A content security policy keeps the page from running or loading anything else.

    Args:
        report: of the run.
        records: records.jsonl; its pictures are found relative to ``path``'s folder.
        charts: name to SVG, shown in this order.
        path: where to, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    style, script = _template_text("page.css"), _template_text("page.js")
    chunks = (
        _environment()
        .get_template("index.html.j2")
        .generate(
            report=report,
            lead=_lead(report),
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            tables=tables(report.summary),
            charts=[
                (name, "data:image/svg+xml;base64," + base64.b64encode(svg).decode()) for name, svg in charts.items()
            ],
            circumstances=list(_circumstances(report)),
            links=[(name, "./" + quote(file)) for name, file in _files(report)],
            records=_lines(records),
        )
    )
    with whole(path) as beside, beside.open("w", encoding="utf-8", errors="replace", newline="\n") as page:
        page.writelines(chunks)


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)


@cache
def _template_text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Allow our style, our script and pictures beside the page; no other origin, no other code."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src 'self' file: data:; style-src 'sha256-{style_hash}'; "
        f"script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    )


def _lines(records: Path) -> Iterator[Markup]:
    """Turn records into the lines of a JSON array that can stand inside a script element."""
    comma = ""
    for line in read_lines(records):
        kept = {name: value for name, value in line.items() if name not in _LEFT_OUT and value not in (None, {}, [])}
        text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        # Neither "</script>" nor "<!--" can end or bend the element without their first letter.
        yield Markup(comma + text.replace("<", "\\u003c") + "\n")  # noqa: S704 - JSON, and no tag can begin in it
        comma = ","


def _lead(report: Report) -> str:
    """Say in one line what ran, when and how fast."""
    parts = [f"{number('', report.summary['images'])} images"] if "images" in report.summary else []
    if report.model is not None:
        parts.append(f"{report.model.architecture}, {len(report.model.classes)} classes")
    parts.append(f"{report.started[:16].replace('T', ' ')} UTC")
    if report.timings is not None:
        parts.append(f"{report.timings.seconds:.1f} s")
        if report.timings.images_per_second is not None:
            parts.append(f"{report.timings.images_per_second:.3g} images/s")
    return " · ".join(parts)


def _circumstances(report: Report) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    yield "Settings", [*_facts(report.settings), ("seed", str(report.seed)), ("block", str(report.block))]
    if report.model is not None:
        yield "Model", list(_facts(report.model.model_dump()))
    yield "Environment", list(_facts(report.environment))
    yield "Inputs", list(_facts(report.inputs))


def _facts(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Name every value of nested dictionaries by its way down: ``attack, eps``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{before}{spoken(name)}, ")
        elif isinstance(value, list | tuple):
            yield f"{before}{spoken(name)}", ", ".join(map(str, value)) or NOTHING
        else:
            yield f"{before}{spoken(name)}", NOTHING if value is None else str(value)


def _files(report: Report) -> Iterator[tuple[str, str]]:
    yield from ((name, name) for name in ("report.json", "records.jsonl", "records.parquet"))
    yield from ((file, file) for file in report.tables.values())
