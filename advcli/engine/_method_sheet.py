"""The contact sheet of a run of explanations, made of the pictures that lie on the disk when it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from advcli.figures.method_sheet import Overlay, Row, method_sheet
from advcli.images.reading import decode, read_bytes
from advcli.images.writing import read_png
from advcli.runs.life import PARQUET

MOST_ROWS = 6  # pictures on the sheet
MOST_COLUMNS = 24  # ways to explain them
_COLUMNS = ["item", "case", "source", "prediction", "explained", "files.overlay", "files.original"]


def sheet_of(out: Path, frame: pd.DataFrame, cases: Sequence[str]) -> Mapping[str, bytes]:
    """Draw the first pictures of a run under each of its cases; nothing where there is but one case.

    Args:
        out: folder of the run.
        frame: its records, with the columns ``item`` and ``status``.
        cases: ids, in their order.

    Returns:
        ``all-methods`` to an SVG file, or nothing.
    """
    good = frame[frame["status"] == "ok"]
    items = [str(item) for item in good["item"].astype(str).drop_duplicates().head(MOST_ROWS)]
    if len(cases) < 2 or not items:
        return {}
    there = [name for name in _COLUMNS if name in pq.read_schema(out / PARQUET).names]
    read = pq.read_table(out / PARQUET, columns=there, filters=[("item", "in", items)]).to_pylist()
    found = {(one["item"], one["case"]): one for one in read if one.get("files.overlay")}
    rows = [_row(out, item, [found.get((item, case)) for case in cases[:MOST_COLUMNS]]) for item in items]
    drawn = [row for row in rows if row is not None]
    return {"all-methods": method_sheet(drawn)} if drawn else {}


def _row(out: Path, item: str, records: Sequence[Mapping[str, str] | None]) -> Row | None:
    if None in records:  # not of every case: an unusable picture, or one that is still to do
        return None
    ours = [record for record in records if record is not None]
    first = ours[0]
    kept = first.get("files.original")
    source = Path(first["source"])
    if kept:
        pixels = read_png(out / kept)
    elif source.is_file():
        pixels = np.asarray(decode(read_bytes(source), item))
    else:  # the input has gone since
        return None
    overlays = [Overlay(read_png(out / one["files.overlay"]), one["case"], one["explained"]) for one in ours]
    return Row(pixels, item.rpartition("/")[2], first["prediction"], overlays)
