"""Help: a command's own options in full, shared groups in a line each, everything with ``--help-all``."""

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from advcli.cli.streams import data

_LEFT = 26  # columns of the names of options
_WIDEST = 100


class Page(TyperCommand):
    """A subcommand whose help fits on a screen."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the short page."""
        formatter.write(page(self, ctx, everything=False))


class FrontPage(TyperGroup):
    """A group of subcommands that prints its help where no subcommand is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take no words at all for a request for help."""
        rest: list[str] = super().parse_args(ctx, args or ["--help"])
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, what the group is for, its subcommands by panel, and its options."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                idea = (command.help or "").partition("\n")[0]
                panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, idea))
        lines = [f"Usage: {ctx.command_path} [OPTIONS] COMMAND ...", "", *_described(self.help or "")]
        for panel, rows in panels.items():
            lines += ["", f"{panel}:"]
            for name, idea in rows:
                lines += _entry(name, idea, left=16)
        lines += ["", "Options:"]
        for parameter in _shown(self.get_params(ctx)):
            lines += _entry(*_record(parameter))
        formatter.write("\n".join(lines) + "\n")


def print_all(ctx: typer.Context, wanted: bool) -> None:
    """Print the page with every option, and stop; the callback of ``--help-all``."""
    if wanted:
        data().write(page(ctx.command, ctx, everything=True))
        raise typer.Exit


def page(command: Any, ctx: Any, *, everything: bool) -> str:
    """Write the help of a command.

    Args:
        command: the command, as typer made it.
        ctx: its context.
        everything: describe the options of the shared groups too, instead of naming them.
    """
    own: list[Any] = []
    groups: dict[str, list[Any]] = {}
    for parameter in _shown(command.get_params(ctx)):
        panel = getattr(parameter, "rich_help_panel", None)
        (groups.setdefault(panel, []) if isinstance(panel, str) else own).append(parameter)
    own.sort(key=lambda one: one.param_type_name != "argument")
    arguments = " ".join(_record(one)[0] for one in own if one.param_type_name == "argument")
    lines = [f"Usage: {ctx.command_path} [OPTIONS] {arguments}".rstrip(), "", *_described(command.help or "")]
    lines += ["", "Options:"]
    for parameter in own:
        lines += _entry(*_record(parameter))
    if groups and not everything:
        lines += ["", "Shared options, which --help-all describes:"]
    for panel, parameters in groups.items():
        if everything:
            lines += ["", f"{panel}:"]
            for parameter in parameters:
                lines += _entry(*_record(parameter))
        else:
            names = " ".join(max(parameter.opts, key=len) for parameter in parameters)
            lines += textwrap.wrap(
                names, _width(), initial_indent=f"  {panel:<8}", subsequent_indent=" " * 10, break_on_hyphens=False
            )
    return "\n".join(lines) + "\n"


def _shown(parameters: Sequence[Any]) -> Iterator[Any]:
    return (parameter for parameter in parameters if not getattr(parameter, "hidden", False))


def _record(parameter: Any) -> tuple[str, str]:
    """Write a parameter's name and what it is."""
    if parameter.param_type_name == "argument":
        name = f"[{parameter.metavar}]..." if parameter.nargs == -1 else f"[{parameter.metavar}]"
    else:
        name = ", ".join(sorted(parameter.opts, key=len))
        name += "".join(f"/{other}" for other in parameter.secondary_opts)
        name += "" if parameter.is_flag or not parameter.metavar else f" {parameter.metavar}"
    extra = [f"default: {default}"] if (default := _default(parameter)) else []
    return name, " ".join([getattr(parameter, "help", None) or "", f"[{'; '.join(extra)}]" if extra else ""]).strip()


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return str(parameter.show_default)
    value = parameter.default
    if not parameter.show_default or value is None or callable(value) or isinstance(value, list | tuple):
        return ""
    if isinstance(value, bool):
        opposite = parameter.secondary_opts
        return (parameter.opts if value else opposite)[0].lstrip("-") if opposite else ""
    return str(value)


def _described(text: str) -> list[str]:
    """Wrap the paragraphs of a docstring; lines that are indented, such as examples, stay as they are."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        block = paragraph.splitlines()
        verbatim = any(line.startswith(" ") for line in block)
        lines += ["", *(block if verbatim else textwrap.wrap(" ".join(block), _width()))]
    return lines[1:]


def _entry(name: str, text: str, left: int = _LEFT) -> list[str]:
    room = " " * left
    wrapped = textwrap.wrap(text, _width() - left, break_long_words=False, break_on_hyphens=False) or [""]
    if len(name) + 4 > left:
        return [f"  {name}", *(room + line for line in wrapped)]
    return [f"  {name:<{left - 2}}{wrapped[0]}".rstrip(), *(room + line for line in wrapped[1:])]


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return min(
        _WIDEST, int(columns) if columns.isdecimal() and int(columns) > 40 else shutil.get_terminal_size().columns
    )
