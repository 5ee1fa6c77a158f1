"""The similarities of a run as arrays, read from its table in memory that grows with the images alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

KEYS = ("explanation", "score", "after", "metric")
Key = tuple[str, str, str, str]
_ROWS = 65536  # read at a time
_COLUMNS = ["item", "case", *KEYS, "value", "floor_noise"]


@dataclass(frozen=True, eq=False)
class Values:
    """The values of one attack case.

    Args:
        keys: explanation, score, class policy and measure of each column, in the order of the records.
        value: float32 (images, columns); NaN where a measure is undefined or was not asked for.
        floor: the same for noise as large as the attack.
        asked: bool (images, columns): the record has such a row.
    """

    keys: list[Key]
    value: NDArray[np.float32]
    floor: NDArray[np.float32]
    asked: NDArray[np.bool_]


def read_values(path: Path, items: pd.Index, cases: list[str]) -> dict[str, Values]:
    """Read the table of similarities.

    Args:
        path: of the table, as ``write_long_similarity`` writes it.
        items: images, each once; other rows of the table are passed over.
        cases: ids of the attack cases that are wanted.

    Returns:
        Case to its values, for cases that have any.
    """
    found: dict[str, dict[Key, list[NDArray[np.float32]]]] = {}
    file = pq.ParquetFile(path, read_dictionary=["item", "case", *KEYS])
    for batch in file.iter_batches(_ROWS, columns=_COLUMNS):
        frame = batch.to_pandas()
        for key, rows in frame.groupby(["case", *KEYS], sort=False, observed=True):
            case, *rest = (str(one) for one in key) if isinstance(key, tuple) else (str(key),)
            places = items.get_indexer(pd.Index(rows["item"].astype(object)))
            known = places >= 0
            if case not in cases or not known.any():
                continue
            name: Key = (rest[0], rest[1], rest[2], rest[3])
            columns = found.setdefault(case, {})
            if name not in columns:
                columns[name] = [np.full(len(items), np.nan, np.float32) for _ in range(3)]
            for column, values in zip(columns[name], (rows["value"], rows["floor_noise"], None), strict=True):
                column[places[known]] = 1 if values is None else values.to_numpy(np.float32)[known]
    return {case: _stacked(columns) for case, columns in found.items()}


def _stacked(columns: dict[Key, list[NDArray[np.float32]]]) -> Values:
    value, floor, asked = (np.stack([one[place] for one in columns.values()], axis=1) for place in range(3))
    return Values(list(columns), value, floor, np.isfinite(asked))
