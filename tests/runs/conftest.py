"""A run without images: items by number, so that its life can be watched alone."""

from dataclasses import dataclass, field

import pytest

from advcli.core.fields import shown
from advcli.core.records import ErrorRecord, Record
from advcli.runs.command import Case, Item, Prepared, Product, RunConfig, Silence
from advcli.runs.life import by_roles, role_columns


class SquareRecord(Record):
    """The square of a number."""

    power: int | None = shown("power", "axis")
    value: int | None = shown("value", "figure", terminal=True)


@dataclass
class Powers:
    """Numbers raised to powers; counts what it computes, and fails where it is told to."""

    count: int = 5
    powers: tuple[int, ...] = (2,)
    settings: dict = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    stop_after: int | None = None
    files: dict = field(default_factory=dict)
    computed: list = field(default_factory=list)

    name = "powers"
    record = SquareRecord
    noun = ("number", "numbers")

    def prepare(self, config, before):
        items = [Item(f"{n:03}", f"number {n}", self.files.get(n), n) for n in range(self.count)]
        cases = [Case(f"power-{power}", {"power": power}, (power,), power) for power in self.powers]
        summarize, columns = by_roles(SquareRecord, "numbers"), role_columns(SquareRecord)
        return Prepared(items, cases, self.work, summarize, columns, ("power",), self.settings)

    def work(self, todo, known):
        for item, left in todo:
            if self.stop_after is not None and len(self.computed) >= self.stop_after:
                raise KeyboardInterrupt
            if item.identity in self.broken:
                yield Product(item, ErrorRecord(item=item.identity, error="it is broken"))
                continue
            for case in left:
                self.computed.append((item.payload, case.payload))
                record = SquareRecord(
                    item=item.identity, case=case.id, power=case.payload, value=item.payload**case.payload
                )
                text = str(record.value).encode()
                yield Product(item, record, {"text": (f"{case.id}.txt.png", lambda text=text: text)})


class Heard(Silence):
    """A listener that remembers."""

    def __init__(self):
        self.records, self.counts, self.warnings = [], [], []

    def record(self, record):
        self.records.append((record["item"], record["case"]))

    def finished(self, count):
        self.counts.append(count)

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def powers():
    return Powers


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def config(tmp_path, heard):
    return RunConfig(tmp_path / "out", device="cpu", command_line="advcli powers", listener=heard)
