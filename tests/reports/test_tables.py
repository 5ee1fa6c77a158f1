"""Tables: types that survive nulls, columns that a pandas user would have named so, memory that stays flat."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from advcli.core.records import AttackRecord, CompareRecord, EpochRecord, MapRecord, Record
from advcli.errors import UsageError
from advcli.reports import tables
from advcli.reports.tables import read_table, write_csv, write_long_similarity, write_parquet


@pytest.fixture
def table(tmp_path, record, broken, write_ledger):
    lines = [record(), broken(), record("dog/ü.png", similarity=(), flags=("blank", "already-wrong"))]
    write_parquet(write_ledger(tmp_path, lines), tmp_path / "records.parquet", CompareRecord)
    return tmp_path / "records.parquet"


@pytest.fixture
def frame(table):
    return pd.read_parquet(table)


def test_values_are_read_back(frame):
    assert frame["item"].tolist() == ["cat/0000.png", "cat/broken.jpg", "dog/ü.png"]
    assert frame["status"].tolist() == ["ok", "error", "ok"]
    assert frame["forward_passes"].tolist() == [3, pd.NA, 3]
    assert frame["misclassified"].tolist() == [True, pd.NA, True]
    assert frame["l2"].dropna().tolist() == [0.87, 0.87]
    assert [list(flags) for flags in frame["flags"]] == [[], [], ["blank", "already-wrong"]]
    assert json.loads(frame["settings"][0]) == {"steps": 40, "step_size": None}


def test_types_survive_nulls(frame):
    assert isinstance(frame["forward_passes"].dtype, pd.Int64Dtype)
    assert isinstance(frame["misclassified"].dtype, pd.BooleanDtype)
    assert frame["l2"].dtype == frame["eps"].dtype == "float64"
    assert isinstance(frame["target_reached"].dtype, pd.BooleanDtype), "a column without a value keeps its type"
    assert frame["error"].dtype == frame["target"].dtype == frame["item"].dtype


def test_the_record_of_an_item_that_could_not_be_used_is_a_row(frame):
    assert frame["error"].dropna().tolist() == ["image file is truncated"]
    assert frame["case"].isna().tolist() == [False, True, False]


def test_dictionaries_are_spread_over_columns_and_lists_are_lists(frame):
    assert frame["files.original"][2] == "images/dog/ü.png.original.png"
    assert [one["name"] for one in frame["top5"][0]] == ["cat", "dog"]
    assert frame["similarity"][0][0] == {
        "explanation": "grad-cam", "score": "logit", "after": "same", "metric": "spearman", "value": 0.3,
        "floor_noise": None,
    }  # fmt: skip


def test_columns_stand_in_the_order_of_the_record(frame):
    plain = [name for name in CompareRecord.model_fields if name not in {"files", "digests", "diagnosis"}]
    assert [name for name in frame.columns if "." not in name] == plain


@pytest.mark.parametrize("model", [Record, AttackRecord, MapRecord, CompareRecord, EpochRecord])
def test_every_kind_of_record_has_a_table_even_without_records(tmp_path, model, write_ledger):
    write_parquet(write_ledger(tmp_path, []), tmp_path / "records.parquet", model)
    frame = pd.read_parquet(tmp_path / "records.parquet")
    assert len(frame) == 0
    assert {"item", "case", "flags"} <= set(frame.columns)
    assert len(read_table(tmp_path / "records.parquet")) == 0


def test_notes_of_maps_are_columns_of_numbers(tmp_path, write_ledger):
    maps = [MapRecord(item="a", method="ig", notes={"completeness_gap": 0.01}), MapRecord(item="a")]
    write_parquet(write_ledger(tmp_path, maps), tmp_path / "records.parquet", MapRecord)
    frame = read_table(tmp_path / "records.parquet", ["item", "notes", "no such column"])
    assert frame.columns.tolist() == ["item", "notes.completeness_gap"]
    assert frame["notes.completeness_gap"].dtype == "float64"


def test_a_table_is_read_with_text_as_categories_and_nullable_numbers(table):
    frame = read_table(table, ["status", "forward_passes", "misclassified", "l2", "similarity"])
    assert frame.columns.tolist() == ["status", "misclassified", "forward_passes", "l2", "similarity"]
    assert isinstance(frame["status"].dtype, pd.CategoricalDtype)
    assert isinstance(frame["forward_passes"].dtype, pd.Int64Dtype)
    assert isinstance(frame["misclassified"].dtype, pd.BooleanDtype)
    assert isinstance(frame["similarity"].dtype, pd.ArrowDtype)


def test_similarities_are_rows_of_a_table_of_their_own(tmp_path, record, broken, write_ledger):
    path = tmp_path / "tables" / "similarity.parquet"
    write_long_similarity(write_ledger(tmp_path, [record(), broken(), record("b.png", similarity=())]), path)
    frame = pd.read_parquet(path)
    columns = ["item", "case", "explanation", "score", "after", "metric", "value", "floor_noise"]
    assert frame.columns.tolist() == columns
    assert frame["value"].tolist() == [0.3, 0.5]
    assert set(frame["item"]) == {"cat/0000.png"}
    assert set(frame["case"]) == {"pgd-8_255"}


def test_rows_are_written_in_groups(tmp_path, monkeypatch, record, write_ledger):
    monkeypatch.setattr(tables, "ROWS", 10)
    lines = [record(f"{number}.png") for number in range(25)]
    write_parquet(write_ledger(tmp_path, lines), tmp_path / "records.parquet", CompareRecord)
    assert pq.ParquetFile(tmp_path / "records.parquet").num_row_groups == 3
    assert pd.read_parquet(tmp_path / "records.parquet")["item"].tolist() == [one.item for one in lines]


def test_memory_does_not_grow_with_the_number_of_records(growth, tmp_path, report):
    assert growth(tmp_path, report, "table") < 20_000, "kilobytes; the lines that are added are 24,000, parsed 150,000"


def test_the_same_records_give_the_same_bytes(tmp_path, record, write_ledger):
    ledger = write_ledger(tmp_path, [record(), record("b.png")])
    for name in ("a", "b"):
        write_parquet(ledger, tmp_path / name, CompareRecord)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_torn_last_line_is_left_out(tmp_path, record, write_ledger):
    ledger = write_ledger(tmp_path, [record()])
    with ledger.open("a") as file:
        file.write('{"item": "torn')
    write_parquet(ledger, tmp_path / "records.parquet", CompareRecord)
    assert len(pd.read_parquet(tmp_path / "records.parquet")) == 1


def test_a_table_that_fails_leaves_what_was_there(tmp_path, monkeypatch, record, write_ledger):
    target = tmp_path / "records.parquet"
    target.write_bytes(b"before")
    ledger = write_ledger(tmp_path, [record()])
    monkeypatch.setattr(tables, "flatten", lambda line, layout: {"item": object()})
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
