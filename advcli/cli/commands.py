"""How a function becomes a subcommand: found by its file, options unfolded, prints kept off standard output."""

import importlib
import inspect
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advcli.cli.streams import talking

if TYPE_CHECKING:
    from advcli.runs.command import Command

_PACKAGE = Path(__file__).parents[1]


def names() -> list[str]:
    """List the subcommands: the files of ``engine/`` that have one of the same name here; ``a_b.py`` is ``a-b``."""
    found = sorted(path.stem for path in (_PACKAGE / "engine").glob("[!_]*.py"))
    return [name.replace("_", "-") for name in found if (Path(__file__).parent / f"{name}.py").exists()]


def function(name: str) -> Callable[..., None]:
    """Take the function of a subcommand from its file, ready for typer."""
    module = name.replace("-", "_")
    return unfolded(getattr(importlib.import_module(f"advcli.cli.{module}"), module))


def command_class(name: str) -> "type[Command]":
    """Take the class of a subcommand from its file in ``engine/``; imports what it needs."""
    module = importlib.import_module(f"advcli.engine.{name.replace('-', '_')}")
    return getattr(module, "".join(part.capitalize() for part in name.split("-")) + "Command")  # type: ignore[no-any-return]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Write the fields of parameters that are groups of options into a command's own signature.

    Typer reads a command's parameters from its signature, and knows no groups of parameters. What the command and its
    libraries print goes to standard error; its data goes through ``streams.data``.

    Args:
        command: a function; a parameter whose annotation is a dataclass, such as ``run: RunOptions``, is a group.
            Groups before the command's own options come last in the help, others stay in their place.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if inspect.isclass(hint) and is_dataclass(hint)}
    own: list[inspect.Parameter] = []
    shared: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            (own if own else shared).extend(_parameters(groups[parameter.name]))
        else:
            own.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name]))

    @wraps(command)
    def body(**options: Any) -> None:
        made = {
            name: group(**{field.name: options.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        with talking():
            command(**made, **options)

    signature = inspect.Signature([*own, *shared])
    body.__signature__ = signature  # type: ignore[attr-defined]
    body.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    return body


def _parameters(group: type) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
