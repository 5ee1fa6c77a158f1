"""The columns of a table of records: fixed by the record's class, so that a column of nulls keeps its type."""

import json
from collections.abc import Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import pyarrow as pa

from advcli.core.results import Record, Result

SIMPLE = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def flatten(line: Mapping[str, Any], model: type[Record]) -> dict[str, object]:
    """Lay a record out as one row.

    Args:
        line: a record as in records.jsonl.
        model: its class.

    Returns:
        Column to value. A dictionary is spread over dotted columns, ``similarity.grad-cam.spearman``; one whose values
        may be anything, such as ``settings``, is one column of JSON.
    """
    row: dict[str, object] = {}
    for name, field in model.model_fields.items():
        value = line.get(name)
        row.update(_spread(name, field.annotation, value) if value is not None else {})
    return row


def schema(lines: Iterable[Mapping[str, Any]], model: type[Record]) -> pa.Schema:
    """Fix the columns and their types.

    Args:
        lines: records as in records.jsonl; read once, for the keys of their dictionaries, and not kept.
        model: their class.

    Returns:
        The schema, in the order of the class's fields. It tells pandas to read integers and booleans as nullable ones:
        without that, one image that could not be used turns ``passes`` into floats and ``fooled`` into objects.
    """
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    open_ended = [name for name, annotation in fields.items() if _values(annotation) is not None]
    keys: dict[str, dict[str, None]] = {name: {} for name in open_ended}  # a dict keeps the order, a set does not
    for line in lines:
        for name in open_ended:
            keys[name].update(dict.fromkeys(line.get(name) or ()))
    columns: dict[str, pa.DataType] = {}
    for name, annotation in fields.items():
        values = _values(annotation)
        if values is None:
            columns[name] = _type(annotation)
        else:
            columns.update(column for key in keys[name] for column in _typed(f"{name}.{key}", values))
    plain = pa.schema(columns.items())
    frame = plain.empty_table().to_pandas(types_mapper=NULLABLE.get)
    return plain.with_metadata(pa.Schema.from_pandas(frame, preserve_index=False).metadata)


def _spread(name: str, annotation: object, value: Any) -> dict[str, object]:
    values = _values(annotation)
    if values is None:
        return {name: json.dumps(value, ensure_ascii=False) if get_origin(annotation) is dict else value}
    if not _is_result(values):
        return {f"{name}.{key}": one for key, one in value.items()}
    return {f"{name}.{key}.{part}": number for key, one in value.items() for part, number in one.items()}


def _typed(name: str, annotation: Any) -> Iterator[tuple[str, pa.DataType]]:
    if _is_result(annotation):
        for part, field in annotation.model_fields.items():
            yield f"{name}.{part}", _type(field.annotation)
    else:
        yield name, _type(annotation)


def _values(annotation: object) -> Any:
    """Give the type of a dictionary's values; none where it is no dictionary, or one that may hold anything."""
    arguments = get_args(annotation)
    return arguments[1] if get_origin(annotation) is dict and arguments[1] is not object else None


def _is_result(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Result)


def _type(annotation: Any) -> pa.DataType:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated[T, ...]
        return _type(arguments[0])
    if origin is UnionType:
        return _type(next(one for one in arguments if one is not NoneType))
    if origin is tuple:
        return pa.list_(_type(arguments[0]))
    if origin is Literal or origin is dict:
        return pa.string()
    return SIMPLE[annotation]
