"""Records as tables: Parquet for programs, CSV for people."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from advcli.core.records import Record, SimilarityRow
from advcli.images.writing import whole, write_atomically
from advcli.reports.columns import NULLABLE, arrow_type, flatten, layout_of, schema
from advcli.reports.lines import read_lines

ROWS = 1024  # in memory at a time, and in a row group: a record of compare takes some 40 KB there
_SIMILARITY = pa.schema(
    [("item", pa.string()), ("case", pa.string())]
    + [(name, arrow_type(field.annotation)) for name, field in SimilarityRow.model_fields.items()]
)


def write_parquet(records: Path, path: Path, model: type[Record]) -> None:
    """Write a run's records as a table, in memory that does not grow with their number.

    Columns and types are those of the record's class, so runs can be stacked and a column without a single value is
    still a column of its type. Dictionaries are spread: ``df["files.panel"]``; ``settings`` is JSON; ``top5`` and
    ``similarity`` are lists. Items that could not be used are rows, too.

    Args:
        records: records.jsonl; read twice, the first time for the dictionaries' keys.
        path: where to, whole or not at all.
        model: class of the records.

    Raises:
        UsageError: the file cannot be written.
    """
    layout = layout_of(model)
    _write((flatten(line, layout) for line in read_lines(records)), path, schema(read_lines(records), model))


def write_long_similarity(records: Path, path: Path) -> None:
    """Write the similarities of a compare run as a table, one row per value, in flat memory.

    Args:
        records: records.jsonl of ``CompareRecord``.
        path: where to, whole or not at all: columns ``item``, ``case``, ``explanation``, ``score``, ``after``,
            ``metric``, ``value`` and ``floor_noise``.

    Raises:
        UsageError: the file cannot be written.
    """
    rows = (
        {"item": line["item"], "case": line.get("case"), **row}
        for line in read_lines(records)
        for row in line.get("similarity") or ()
    )
    _write(rows, path, _SIMILARITY)


def read_table(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table for its figures, in little memory.

    Args:
        path: as ``write_parquet`` wrote it.
        columns: wanted; of a dictionary such as ``notes`` all its columns are read. By default all.

    Returns:
        Text as categories, whole numbers and truth values as nullable ones, lists as Arrow lists. Columns are in the
        order of the file; one that the file lacks is not there.
    """
    file = pq.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if not columns or _wanted(name, columns)]
    text = [name for name in names if pa.types.is_string(file.schema_arrow.field(name).type)]
    table = pq.read_table(path, columns=names, read_dictionary=text)
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=_mapped, ignore_metadata=True, self_destruct=True, split_blocks=True
    )
    return frame


def write_csv(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write a small table.

    Args:
        rows: column to value; rows may lack columns. None becomes an empty cell.
        path: where to, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _write(rows: Iterable[Mapping[str, Any]], path: Path, columns: pa.Schema) -> None:
    iterator: Iterator[Mapping[str, Any]] = iter(rows)
    with whole(path) as beside, pq.ParquetWriter(beside, columns, compression="zstd") as writer:
        while group := list(islice(iterator, ROWS)):
            writer.write_table(pa.Table.from_pylist(group, columns))


def _wanted(name: str, columns: Sequence[str]) -> bool:
    return name in columns or name.partition(".")[0] in columns


def _mapped(kind: pa.DataType) -> Any:
    """Choose the pandas type of a column; none leaves it to pyarrow."""
    if pa.types.is_list(kind):
        return pd.ArrowDtype(kind)
    return NULLABLE.get(kind)


def _columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Name every column once, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))
