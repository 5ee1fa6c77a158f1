"""How a function becomes a subcommand: shared options unfolded, prints kept off standard output."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

from advcli.cli.options import Common
from advcli.cli.streams import talking


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Send what a command and its libraries print to standard error; its data goes through ``streams.data``."""

    @wraps(command)
    def body(*args: Any, **options: Any) -> None:
        with talking():
            command(*args, **options)

    return body


def image_command(command: Callable[..., None]) -> Callable[..., None]:
    """Unfold the parameter ``common`` of a command into the options of every image command.

    Typer reads a command's parameters from its signature, and knows no groups of parameters; so the signature is
    written here, once, instead of in every command.
    """
    hints = typing.get_type_hints(Common, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(Common)
    ]
    own_hints = typing.get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.name != "common"
    ]

    @wraps(command)
    def body(**options: Any) -> None:
        common = Common(**{field.name: options.pop(field.name) for field in fields(Common)})
        with talking():
            command(common, **options)

    signature = inspect.Signature([shared[0], *own, *shared[1:]])
    body.__signature__ = signature  # type: ignore[attr-defined]
    body.__annotations__ = {parameter.name: parameter.annotation for parameter in signature.parameters.values()}
    return body
