"""index.html: a run to look at, in one file that asks nothing of the network."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advcli.core.records import Record
from advcli.core.report import Report
from advcli.images.writing import whole
from advcli.reports.embedding import embedded_items, fields_for_page, script_json
from advcli.reports.summary import NOTHING, number, plain, shares, spoken, tables

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("page.js", "cards.js", "dialog.js", "confusion.js", "choice.js")
OPEN_ROWS = 12  # of a table that is not folded away
_MOVING = (".webp", ".gif", ".png")  # films that a browser shows as it shows a picture
LONGEST_TABLE = 200  # rows; longer ones are in the files


def render_page(report: Report, record: type[Record], records: Path, charts: Mapping[str, bytes], path: Path) -> None:
    """Write the page of a run, in memory that does not grow with the number of records.

    Names of files and classes come from outside and may be anything: they are escaped here, and the page's script
    never takes them for HTML. A content security policy keeps the page from running or loading anything else.

    Args:
        report: of the run.
        record: class of the records; says what the page shows and how.
        records: records.jsonl; its pictures are found relative to ``path``'s folder.
        charts: name to SVG, shown in this order.
        path: where to, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    style, script = template_text("page.css"), "\n".join(map(template_text, _SCRIPTS))
    chunks = (
        environment()
        .get_template("index.html.j2")
        .generate(
            report=report,
            title=_title(report),
            lead=_lead(report),
            policy=policy_of(style, script),
            style=Markup(style),  # noqa: S704 - our own files
            script=Markup(script),  # noqa: S704
            scope=_scope(report),
            shares=shares(report.summary),
            plain=plain({name: value for name, value in report.summary.items() if name != "films"}, record),
            tables=[one for one in tables(report.summary, report.axes, record) if len(one.rows) <= LONGEST_TABLE],
            open_rows=OPEN_ROWS,
            charts=[(name, _data_address(svg)) for name, svg in charts.items()],
            films=_films(report),
            circumstances=list(_circumstances(report)),
            links=[(name, _address(file)) for name, file in _files(report)],
            fields=Markup(script_json(fields_for_page(record))),  # noqa: S704 - JSON, and no tag can begin in it
            items=_lines(records, record),
        )
    )
    with whole(path) as beside, beside.open("w", encoding="utf-8", errors="replace", newline="\n") as page:
        page.writelines(chunks)


@cache
def environment() -> Environment:
    """Give what renders templates, text escaped."""
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)


@cache
def template_text(name: str) -> str:
    """Read one of our own files for pages."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def policy_of(style: str, script: str = "") -> str:
    """Allow our style, our script and pictures beside the page; no other origin, no other code."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src 'self' file: data:; style-src 'sha256-{style_hash}'; "
        f"script-src 'sha256-{script_hash}'; base-uri 'none'; form-action 'none'"
    )


def _data_address(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _address(file: str) -> str:
    return "./" + quote(file, errors="replace")


def _films(report: Report) -> list[tuple[str, str]]:
    """Name each film and its address; one that was written in several formats comes once, as one that a picture can."""
    films = report.summary.get("films")
    files = [str(file) for file in films.values()] if isinstance(films, Mapping) else []
    shown = {Path(file).stem: file for file in reversed(files) if file.endswith(_MOVING)}
    return [(name, _address(file)) for name, file in reversed(shown.items())]


def _lines(records: Path, record: type[Record]) -> Iterator[Markup]:
    """Turn items into the lines of a JSON array that can stand inside a script element."""
    comma = ""
    for item in embedded_items(records, record):
        yield Markup(f"{comma}{script_json(item)}\n")  # noqa: S704 - JSON, and no tag can begin in it
        comma = ","


def _title(report: Report) -> str:
    names = [model.name for model in report.models]
    many = f"{len(names)} models" if len(names) > 2 else ", ".join(names)
    return f"{report.command} · {many}" if names else report.command


def _lead(report: Report) -> str:
    """Say in one line what ran, when and how fast."""
    listed = report.inputs.get("listed")
    parts = [f"{number(listed)} items"] if isinstance(listed, int) and "images" not in report.summary else []
    if "images" in report.summary:
        parts.append(f"{number(report.summary['images'])} images")
    cases = report.summary.get("cases")
    if isinstance(cases, list) and len(cases) > 1:
        parts.append(f"{len(cases)} cases")
    if len(report.models) == 1:
        parts.append(f"{report.models[0].architecture}, {len(report.models[0].classes)} classes")
    parts.append(f"{report.started[:16].replace('T', ' ')} UTC")
    if report.timings is not None:
        parts.append(f"{report.timings.seconds:.1f} s")
        if report.timings.images_per_second is not None:
            parts.append(f"{report.timings.images_per_second:.3g} per second")
    return " · ".join(parts)


def _scope(report: Report) -> str:
    """Say what the headline figures are about, where that is not plain."""
    cases = report.summary.get("cases")
    if not isinstance(cases, list) or len(cases) < 2 or "attack_success_rate" not in report.summary:
        return ""
    return f"The worst of {len(cases)} cases for each image:"


def _circumstances(report: Report) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    yield "Settings", [*_facts(report.settings), ("seed", str(report.seed)), ("block", number(report.block))]
    if report.axes:
        yield (
            "Axes",
            [(spoken(name), ", ".join(map(_value, values)) or NOTHING) for name, values in report.axes.items()],
        )
    if report.skipped:
        yield "Left out", [(str(place), text) for place, text in enumerate(report.skipped, 1)]
    for model in report.models:
        yield f"Model {model.name}", list(_facts(model.model_dump()))
    yield "Environment", list(_facts(report.environment))
    yield "Inputs", list(_facts(report.inputs))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={one}" for key, one in value.items()) or "defaults"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Name every value of nested dictionaries by its way down: ``attack, eps``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{before}{spoken(name)}, ")
        elif isinstance(value, list | tuple):
            yield f"{before}{spoken(name)}", ", ".join(map(_value, value)) or NOTHING
        else:
            yield f"{before}{spoken(name)}", NOTHING if value is None else str(value)


def _files(report: Report) -> Iterator[tuple[str, str]]:
    yield from ((name, name) for name in ("report.json", "records.jsonl", "records.parquet"))
    yield from ((file, file) for file in report.tables.values())
    films = report.summary.get("films")
    yield from ((str(file), str(file)) for file in (films.values() if isinstance(films, Mapping) else ()))
