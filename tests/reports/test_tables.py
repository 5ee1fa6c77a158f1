"""Tables: types that survive nulls, columns that a pandas user would have named so, memory that stays flat."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from advcli.core.results import AttackRecord, CompareRecord, MapRecord, Record
from advcli.errors import UsageError
from advcli.reports import tables
from advcli.reports.tables import write_csv, write_parquet


@pytest.fixture
def frame(tmp_path, record, broken, write_ledger):
    lines = [record(), broken(), record("dog/ü.png", similarity={}, flags=("blank", "already-wrong"))]
    write_parquet(write_ledger(tmp_path, lines), tmp_path / "records.parquet", CompareRecord)
    return pd.read_parquet(tmp_path / "records.parquet")


def test_values_are_read_back(frame):
    assert frame["path"].tolist() == ["cat/0000.png", "cat/broken.jpg", "dog/ü.png"]
    assert frame["status"].tolist() == ["ok", "error", "ok"]
    assert frame["passes"].tolist() == [3, pd.NA, 3]
    assert frame["fooled"].tolist() == [True, pd.NA, True]
    assert frame["l2"].dropna().tolist() == [0.87, 0.87]
    assert [list(flags) for flags in frame["flags"]] == [[], [], ["blank", "already-wrong"]]
    assert json.loads(frame["settings"][0]) == {"steps": 40, "step_size": None}


def test_types_survive_nulls(frame):
    assert isinstance(frame["passes"].dtype, pd.Int64Dtype)
    assert isinstance(frame["fooled"].dtype, pd.BooleanDtype)
    assert frame["l2"].dtype == frame["eps"].dtype == "float64"
    assert isinstance(frame["hit_target"].dtype, pd.BooleanDtype), "a column without a single value keeps its type"
    assert frame["similarity.grad-cam.hog"].dtype == "float64"
    assert frame["error"].dtype == frame["target"].dtype == frame["path"].dtype


def test_dictionaries_are_spread_over_columns(frame):
    assert frame["similarity.grad-cam.spearman"].dropna().tolist() == [0.3]
    assert frame["files.original"][2] == "images/dog/ü.png.original.png"


def test_columns_stand_in_the_order_of_the_record(frame):
    plain = [name for name in CompareRecord.model_fields if name not in {"files", "similarity"}]
    assert [name for name in frame.columns if "." not in name] == plain


@pytest.mark.parametrize("model", [Record, AttackRecord, MapRecord, CompareRecord])
def test_every_kind_of_record_has_a_table_even_without_records(tmp_path, model, write_ledger):
    write_parquet(write_ledger(tmp_path, []), tmp_path / "records.parquet", model)
    frame = pd.read_parquet(tmp_path / "records.parquet")
    assert len(frame) == 0
    assert {"path", "probability", "flags"} <= set(frame.columns)


def test_notes_of_maps_are_columns_of_numbers(tmp_path, write_ledger):
    maps = [
        MapRecord(path="a", source="a", method="ig", notes={"completeness_gap": 0.01}),
        MapRecord(path="a", source="a"),
    ]
    write_parquet(write_ledger(tmp_path, maps), tmp_path / "records.parquet", MapRecord)
    assert pd.read_parquet(tmp_path / "records.parquet")["notes.completeness_gap"].dtype == "float64"


def test_rows_are_written_in_groups(tmp_path, monkeypatch, record, write_ledger):
    monkeypatch.setattr(tables, "ROWS", 10)
    lines = [record(f"{number}.png") for number in range(25)]
    write_parquet(write_ledger(tmp_path, lines), tmp_path / "records.parquet", CompareRecord)
    assert pq.ParquetFile(tmp_path / "records.parquet").num_row_groups == 3
    paths = pd.read_parquet(tmp_path / "records.parquet")["path"].tolist()
    assert paths == [one.path for one in lines]


def test_a_torn_last_line_is_left_out(tmp_path, record, write_ledger):
    ledger = write_ledger(tmp_path, [record()])
    with ledger.open("a") as file:
        file.write('{"path": "torn')
    write_parquet(ledger, tmp_path / "records.parquet", CompareRecord)
    assert len(pd.read_parquet(tmp_path / "records.parquet")) == 1


def test_a_table_that_fails_leaves_what_was_there(tmp_path, monkeypatch, record, write_ledger):
    target = tmp_path / "records.parquet"
    target.write_bytes(b"before")
    ledger = write_ledger(tmp_path, [record()])
    monkeypatch.setattr(tables, "flatten", lambda line, model: {"path": object()})
    with pytest.raises(Exception, match="object"):
        write_parquet(ledger, target, CompareRecord)
    assert target.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"records.jsonl", "records.parquet"}


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path, record, write_ledger):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write"):
        write_parquet(write_ledger(tmp_path, [record()]), tmp_path / "file" / "records.parquet", CompareRecord)


def test_a_csv_has_the_columns_of_all_rows_and_empty_cells_for_nothing(tmp_path):
    write_csv([{"label": 'a "b", c', "images": 3}, {"label": "ü", "rate": None}], tmp_path / "tables" / "labels.csv")
    text = (tmp_path / "tables" / "labels.csv").read_text(encoding="utf-8")
    assert text == 'label,images,rate\n"a ""b"", c",3,\nü,,\n'
