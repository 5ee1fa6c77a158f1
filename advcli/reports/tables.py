"""Records as tables: Parquet for programs, CSV for people."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from advcli.core.results import Record
from advcli.images.writing import whole, write_atomically
from advcli.reports.columns import flatten, schema
from advcli.reports.ledger import read_lines

ROWS = 4096  # in memory at a time, and in a row group


def write_parquet(records: Path, path: Path, model: type[Record]) -> None:
    """Write a run's records as a table, in memory that does not grow with their number.

    Columns and types are those of the record's class, so runs can be stacked and a column without a single value is
    still a column of its type. Dictionaries are spread: ``df["similarity.grad-cam.spearman"]``, ``df["files.panel"]``;
    ``settings`` is JSON. pandas reads whole numbers and truth values as nullable ones.

    Args:
        records: records.jsonl; read twice, the first time for the dictionaries' keys.
        path: where to, whole or not at all.
        model: class of the records.

    Raises:
        UsageError: the file cannot be written.
    """
    columns = schema(read_lines(records), model)
    rows = (flatten(line, model) for line in read_lines(records))
    with whole(path) as beside, pq.ParquetWriter(beside, columns, compression="zstd") as writer:
        while group := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(group, columns))


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
    write_atomically(path, text.getvalue().encode())


def _columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Name every column once, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))
