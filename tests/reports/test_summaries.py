"""Figures of other commands: maps, and records without figures of their own."""

import numpy as np
import pandas as pd
import pytest

from advcli.core.fields import shown
from advcli.core.records import EpochRecord, MapRecord, Record
from advcli.reports.map_figures import COLUMNS as MAP_COLUMNS
from advcli.reports.map_figures import summarize_maps
from advcli.reports.summaries import rate, summarize_records
from advcli.reports.tables import read_table, write_parquet


@pytest.fixture
def as_frame(tmp_path, write_ledger):
    """Take records to disk and back, as a run does."""

    def made(records, model, columns=()):
        write_parquet(write_ledger(tmp_path, records), tmp_path / "records.parquet", model)
        return read_table(tmp_path / "records.parquet", columns)

    return made


def test_a_rate_of_nothing_is_none():
    assert rate("x", 0, 0) == {"x": None, "x_low": None, "x_high": None}


def test_maps_are_counted_by_case_and_accuracy_once_for_each_image(as_frame, broken):
    facts = {"label": "cat", "label_source": "folder", "model": "m"}
    records = [
        MapRecord(item="a", case="cam", prediction="cat", share_central=0.2, notes={"gap": 0.1}, **facts),
        MapRecord(item="a", case="ig", prediction="cat", share_central=0.4, flags=("blank",), **facts),
        MapRecord(item="b", case="cam", prediction="dog", share_central=0.6, notes={"gap": 0.3}, **facts),
        MapRecord(item="b", case="ig", prediction="dog", share_central=0.8, **facts),
        broken(),
    ]
    cases = {"cam": {"model": "m", "method": "grad-cam"}, "ig": {"model": "m", "method": "ig"}}
    figures = summarize_maps(as_frame(records, MapRecord, MAP_COLUMNS), cases)
    assert (figures.values["images"], figures.values["errors"], figures.values["labelled"]) == (3, 1, 2)
    assert figures.values["clean_accuracy"] == 0.5
    first, second = figures.values["cases"]
    assert first == {"case": "cam", "model": "m", "method": "grad-cam", "images": 2, "blank": 0} | {
        "median_share_central": 0.4, "median_gap": 0.2,
    }  # fmt: skip
    assert (second["blank"], second["median_share_central"]) == (1, pytest.approx(0.6))
    assert "median_gap" not in second


class Counted(Record):
    """A record of a command without figures of its own."""

    size: float | None = shown("size", "figure")
    hits: int = shown("hits", "count", default=0)
    found: bool | None = shown("found", "flag")


def test_records_are_summarized_by_the_roles_of_their_fields(as_frame, broken):
    records = [
        Counted(item="1", case="x", size=1.0, hits=3, found=True),
        Counted(item="2", case="x", size=5.0, hits=4, found=False),
        Counted(item="3", case="x", size=2.0),
        broken("4"),
    ]
    values = summarize_records(as_frame(records, Counted), {"x": {"seed": 1}}, Counted, "blocks").values
    assert (values["blocks"], values["errors"]) == (4, 1)
    (case,) = values["cases"]
    assert (case["blocks"], case["median_size"], case["hits"], case["found_rate"]) == (3, 2.0, 7, 0.5)


def test_epochs_are_summarized_too(as_frame):
    records = [EpochRecord(item=str(n), case="e", epoch=n, loss=float(n)) for n in (1, 2, 3)]
    frame = as_frame(records, EpochRecord, ["item", "case", "status", "loss"])
    assert summarize_records(frame, {"e": {}}, EpochRecord, "epochs").values["cases"][0]["median_loss"] == 2


def test_a_large_table_is_summarized_in_seconds(as_frame):
    frame = pd.DataFrame({"item": np.arange(100_000).astype(str), "case": "x", "status": "ok", "size": 1.0})
    assert summarize_records(frame, {"x": {}}, Counted).values["items"] == 100_000
