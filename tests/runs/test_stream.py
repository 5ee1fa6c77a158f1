"""Records are told of in listing order, as soon as that order allows, and kept whatever happens."""

import errno
import json
import threading

import pytest

from advcli.core.records import Record
from advcli.errors import UsageError
from advcli.runs.command import WAITING, Case, Item, Product
from advcli.runs.ledger import Ledger
from advcli.runs.stream import Stream


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path, Record, {}, {}, ()) as opened:
        yield opened


def product(item, case="a", draw=None):
    pictures = {} if draw is None else {"picture": (f"{case}.picture.png", draw)}
    return Product(Item(item), Record(item=item, case=case), pictures)


def stream(ledger, tmp_path, heard, items="xyz", cases="a"):
    order = {item: place for place, item in enumerate(items)}
    return Stream(ledger, tmp_path, order, [Case(case, {}) for case in cases], heard, WAITING)


def test_records_are_told_of_in_listing_order(ledger, tmp_path, heard):
    products = [product("z"), product("x"), product("y")]
    stream(ledger, tmp_path, heard).run(iter(products))
    assert [item for item, _ in heard.records] == ["x", "y", "z"]


def test_a_record_is_on_disk_while_the_work_goes_on(ledger, tmp_path, heard):
    written = threading.Event()
    heard.finished = lambda count: written.set()

    def work():
        yield product("x")
        assert written.wait(10), "the first record waits for the second"
        assert json.loads((tmp_path / "records.jsonl").read_text())["item"] == "x"
        yield product("y")

    stream(ledger, tmp_path, heard).run(work())
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 2


def test_an_interruption_keeps_what_was_handed_over(ledger, tmp_path, heard):
    def work():
        for item in "xyz":
            yield product(item, draw=lambda: b"picture")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(ledger, tmp_path, heard).run(work())
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 3


def test_a_full_disk_ends_the_run_and_keeps_what_is_whole(ledger, tmp_path, heard, monkeypatch):
    def full(path, data):
        error = OSError(errno.ENOSPC, "No space left on device")
        raise UsageError(f"cannot write {path}: No space left on device", "free space") from error

    def work():
        yield product("x")
        monkeypatch.setattr("advcli.runs.stream.write_atomically", full)
        for item in "yz" * 200:
            yield product(item, draw=lambda: b"picture")

    with pytest.raises(UsageError, match="No space left"):
        stream(ledger, tmp_path, heard).run(work())
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [line["item"] for line in lines] in ([], ["x"])


def test_a_name_that_cannot_be_written_is_an_error_of_its_own(ledger, tmp_path, heard):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.a.picture.png").mkdir()
    products = [product(item, draw=lambda: b"picture") for item in "xyz"]
    stream(ledger, tmp_path, heard).run(iter(products))
    lines = {line["item"]: line for line in map(json.loads, (tmp_path / "records.jsonl").read_text().splitlines())}
    assert [lines[item]["status"] for item in "xyz"] == ["error", "ok", "ok"]
    assert "cannot be written" in lines["x"]["error"]


def test_a_failure_of_our_own_is_not_swallowed(ledger, tmp_path, heard):
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stream(ledger, tmp_path, heard).run(iter([product("x", draw=broken)]))
