"""The columns of a table of records: fixed by the record's class, so that a column of nulls keeps its type."""

import json
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

import pandas as pd
import pyarrow as pa

from advcli.core.records import Record, Result

SIMPLE = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
Layout = Literal["plain", "spread", "json"]
_UNIONS = (Union, types.UnionType)


def flatten(line: Mapping[str, Any], layout: Mapping[str, Layout]) -> dict[str, object]:
    """Lay a record out as one row.

    Args:
        line: a record as in records.jsonl; what the columns do not know is left out, what it lacks is null.
        layout: of its class, see ``layout_of``.

    Returns:
        Column to value. A dictionary is spread over dotted columns, ``files.panel``; one whose values may be anything,
        such as ``settings``, is one column of JSON.
    """
    row: dict[str, object] = {}
    for name, value in line.items():
        how = layout.get(name)
        if how is None or value is None:
            continue
        if how == "plain":
            row[name] = value
        elif how == "spread":
            row.update((f"{name}.{key}", one) for key, one in value.items())
        else:
            row[name] = json.dumps(value, ensure_ascii=False)
    return row


def layout_of(model: type[Record]) -> dict[str, Layout]:
    """Say of each field of a record class how it becomes a column or several."""
    return {name: _layout(field.annotation) for name, field in model.model_fields.items()}


def _layout(annotation: Any) -> Layout:
    if _values(annotation) is not None:
        return "spread"
    return "json" if _kind(annotation) is dict else "plain"


def schema(lines: Iterable[Mapping[str, Any]], model: type[Record]) -> pa.Schema:
    """Fix the columns and their types.

    Args:
        lines: records as in records.jsonl; read once, for the keys of their dictionaries, and not kept.
        model: their class. Lines of ``ErrorRecord`` have no fields that it lacks, but for ``path``.

    Returns:
        The schema, in the order of the class's fields; the columns of a dictionary are sorted by name. It tells
        ``pandas.read_parquet`` to read whole numbers and truth values as nullable ones: else one image that could not
        be used turns ``forward_passes`` into floats and ``misclassified`` into objects.
    """
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    keys: dict[str, set[str]] = {name: set() for name, annotation in fields.items() if _values(annotation) is not None}
    for line in lines:
        for name, known in keys.items():
            known.update(line.get(name) or ())
    columns: list[tuple[str, pa.DataType]] = []
    for name, annotation in fields.items():
        values = _values(annotation)
        if values is None:
            columns.append((name, arrow_type(annotation)))
        else:
            columns += [(f"{name}.{key}", arrow_type(values)) for key in sorted(keys[name])]
    plain = pa.schema(columns)
    frame = plain.empty_table().to_pandas(types_mapper=NULLABLE.get)
    return plain.with_metadata(pa.Schema.from_pandas(frame, preserve_index=False).metadata)


def arrow_type(annotation: Any) -> pa.DataType:
    """Translate the type of a field.

    Args:
        annotation: str, int, float, bool, a literal, a result class (a struct), a tuple of these (a list), any of them
            or none; a dictionary is JSON text.

    Returns:
        The type of its column; every column may hold nulls.
    """
    kind = _kind(annotation)
    if kind is tuple:
        return pa.list_(arrow_type(get_args(_plain(annotation))[0]))
    if kind is Literal or kind is dict:
        return pa.string()
    plain = _plain(annotation)
    if isinstance(plain, type) and issubclass(plain, Result):
        return pa.struct([(name, arrow_type(field.annotation)) for name, field in plain.model_fields.items()])
    return SIMPLE[plain]


def _plain(annotation: Any) -> Any:
    """Take the marks off a type: ``Annotated[T, ...]`` and ``T | None`` become T."""
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in _UNIONS:
        return _plain(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation


def _kind(annotation: Any) -> Any:
    return get_origin(_plain(annotation))


def _values(annotation: Any) -> Any:
    """Give the type of a dictionary's values; none where it is no dictionary, or one that may hold anything."""
    if _kind(annotation) is not dict:
        return None
    values = get_args(_plain(annotation))[1]
    return None if values in (object, Any) else values
