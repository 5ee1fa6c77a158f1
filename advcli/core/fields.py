"""What a field of a record or a summary is called for people, and how it is shown; said once, beside the field.

The terminal's tables, the page, the CSV files and Parquet read it from the pydantic field (``presentation``).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

Role = Literal[
    "identity",  # names the item or the case
    "axis",  # a value of the grid
    "label",  # a class name, right or wanted
    "class",  # a class name that the model said
    "probability",  # in [0, 1], shown behind the class that stands before it
    "flag",  # true or false
    "figure",  # a number that is summarized by its median
    "count",  # a whole number that is summed
    "rate",  # a share in [0, 1] with NAME_low and NAME_high beside it
    "list",  # several values; shown in the page only
    "picture",  # paths of pictures
    "hidden",  # in the files, not on the terminal and not in the page
]


@dataclass(frozen=True)
class Presentation:
    """How a field is shown.

    Args:
        title: for people, such as ``taken for``.
        role: see ``Role``.
        unit: behind numbers, such as ``1/255``; empty where there is none.
        terminal: show it in the terminal's table of records.
    """

    title: str
    role: Role
    unit: str = ""
    terminal: bool = False


def shown(title: str, role: Role, *, unit: str = "", terminal: bool = False, default: Any = None) -> Any:
    """Declare a field of a record with its presentation; see ``Presentation``.

    Args:
        title: for people.
        role: how it is shown and summarized.
        unit: behind numbers.
        terminal: show it in the terminal's table of records.
        default: the field's value where nothing is known.
    """
    return Field(default, title=title, json_schema_extra={"role": role, "unit": unit, "terminal": terminal})


def presentation(model: type[BaseModel], name: str) -> Presentation:
    """Read how a field of a record class is shown; one that says nothing is hidden."""
    field = model.model_fields[name]
    extra = field.json_schema_extra
    known: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
    title = field.title or name.replace("_", " ")
    return Presentation(title, known.get("role", "hidden"), known.get("unit", ""), bool(known.get("terminal")))


def _finite(value: object) -> object:
    """Turn NaN and infinity into null: JSON has no word for them."""
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
