"""A subcommand is two files: a copy of the project gets one more, and everything else knows it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ENGINE = '''
"""Count: numbers and their squares; items without a file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from advcli.core.fields import Number, shown
from advcli.core.records import Record
from advcli.runs.command import Case, Item, Prepared, Product, Summary
from advcli.runs.grid import case_id


class CountRecord(Record):
    """One number to one power."""

    power: int | None = shown("power", "axis")
    value: Number = shown("value", "figure", terminal=True)


@dataclass(frozen=True)
class CountCommand:
    """Raises numbers to powers."""

    last: int
    powers: tuple[int, ...]
    name: ClassVar[str] = "count"
    record: ClassVar[type[CountRecord]] = CountRecord
    noun: ClassVar[tuple[str, str]] = ("number", "numbers")

    def prepare(self, config, before):
        return Prepared(
            items=[Item(str(number), payload=number) for number in range(1, self.last + 1)],
            cases=[Case(case_id([f"power{power}"]), {"power": power}, (power,), power) for power in self.powers],
            work=lambda todo, known: (product(item, case) for item, cases in todo for case in cases),
            summarize=summarize,
            columns=["item", "case", "status", "value"],
            axes=["power"],
        )


def product(item, case):
    value = float(item.payload**case.payload)
    record = CountRecord(item=item.identity, case=case.id, power=case.payload, value=value)
    picture = lambda: np.full((4, 4, 3), int(value) % 256, np.uint8)
    return Product(item, record, {"square": (f"{case.id}.square.png", picture)})


def summarize(frame, cases):
    rows = [
        {"case": case, **axes, "total": float(frame.loc[frame["case"] == case, "value"].sum())}
        for case, axes in cases.items()
    ]
    return Summary({"total": max(row["total"] for row in rows), "cases": rows}, {"cases": rows})
'''

CLI = '''
"""advcli count: numbers and their powers."""

from typing import Annotated

import typer

from advcli.cli.options import RunOptions
from advcli.cli.running import carry_out


def count(
    run: RunOptions,
    last: Annotated[int, typer.Option(metavar="N", min=1, help="The last number.")] = 3,
    power: Annotated[list[int] | None, typer.Option(metavar="P", help="Power; repeat for several.")] = None,
) -> None:
    """Raise numbers to powers.

    Examples:
      advcli count --last 3
    """
    from advcli.engine.count import CountCommand

    carry_out(CountCommand(last, tuple(power or [2])), run)
'''

DRIVER = """
import json, os, sys
from advcli.cli.app import main

for place, words in enumerate(json.loads(sys.argv[1])):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{place}.{name}", os.O_CREAT | os.O_WRONLY), number)
    sys.argv = ["advcli", *words]
    try:
        main()
    except SystemExit as stop:
        open(f"{place}.code", "w").write(str(stop.code or 0))
"""

CALLS = {
    "front page": ["--help"],
    "help": ["count", "--help"],
    "dry run": ["count", "--dry-run", "--out", "run"],
    "first": ["count", "--last", "2", "--out", "run", "--json"],
    "second": ["count", "--out", "run", "--jsonl"],
    "case": ["count", "--power", "2", "--power", "3", "--out", "run"],
    "quiet": ["count", "--power", "3", "--out", "run", "-q=square"],
    "gate": ["count", "--out", "run", "--json", "--fail-over", "total=5"],
    "schema": ["run", "schema", "count"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "advcli", folder / "advcli", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "advcli" / "engine" / "count.py").write_text(ENGINE.lstrip())
    (folder / "advcli" / "cli" / "count.py").write_text(CLI.lstrip())
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(list(CALLS.values()))],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "80"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture
def told(project):
    """What a call printed, by its name; it must have left with 0."""

    def read(name, code=0):
        place = list(CALLS).index(name)
        out, err, left = ((project / f"{place}.{kind}").read_text() for kind in ("out", "err", "code"))
        assert left == str(code), err
        return out, err

    return read


def test_it_has_help_and_a_place_on_the_front_page(told):
    assert "  count " in told("front page")[0]
    assert "--last N" in told("help")[0]
    assert "--out" in told("help")[0]


def test_its_dry_run_writes_nothing_and_says_what_would_be_done(told):
    text, _ = told("dry run")
    assert "3 numbers in 1 case: 3 results, 0 done, 3 to do" in text
    assert "power: 2" in text
    assert "results would go to run" in text


def test_its_report_is_json_and_it_goes_on_where_it_stopped(told):
    assert json.loads(told("first")[0])["summary"]["total"] == 5
    lines, err = told("second")
    assert "2 of 3 results were done before" in err
    assert [json.loads(line)["value"] for line in lines.splitlines()] == [1, 4, 9]


def test_a_new_case_is_a_row_of_the_table_and_renames_nothing(told, project):
    text, err = told("case")
    assert "3 of 6 results were done before" in err
    assert text.index("power2") < text.index("power3")
    for word in ("number", "value", "total", "14", "36"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80
    records = [json.loads(line) for line in (project / "run" / "records.jsonl").read_text().splitlines()]
    assert [(record["item"], record["case"]) for record in records] == [
        (str(number), f"power{power}") for number in (1, 2, 3) for power in (2, 3)
    ]
    assert all((project / "run" / record["files"]["square"]).exists() for record in records)


def test_its_page_table_and_paths_are_made_like_those_of_every_command(told, project):
    paths = told("quiet")[0].splitlines()
    assert all((project / path).exists() for path in paths)
    assert {Path(path).name for path in paths} >= {f"{number}.power3.square.png" for number in (1, 2, 3)}
    assert "power3" in (project / "run" / "index.html").read_text()
    assert (project / "run" / "records.parquet").exists()
    assert "total" in (project / "run" / "tables" / "cases.csv").read_text()


def test_its_gates_are_gates(told):
    _, err = told("gate", 1)
    assert "error: total 36 is over 5 (--fail-over)" in err


def test_its_schema_names_its_fields(told):
    assert {"item", "case", "value", "power", "files"} <= set(json.loads(told("schema")[0])["properties"])
