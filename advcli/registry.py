"""Methods by name: what is in a folder is what the command line knows, with the settings its signature declares.

A method is one file. ``attacks/sigma_zero.py`` holds the dataclass ``SigmaZero`` and is ``--method sigma-zero``;
``attributions/grad_cam.py`` holds the function ``grad_cam``. Its settings are the dataclass's fields, or the
function's keyword arguments; their types, defaults and descriptions are read from the annotations and the docstring,
so that nothing is written twice. Names are listed without importing anything.
"""

import difflib
import importlib
import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from advcli.core.quantities import Quantity, number, quantity
from advcli.errors import UsageError

__all__ = ["Kind", "Method", "Quantity", "Range", "Setting", "names", "number", "parse_methods", "quantity"]

Kind = Literal["attack", "attribution"]
_FOLDERS: dict[Kind, str] = {"attack": "attacks", "attribution": "attributions"}
# What the engine fills in for an attribution that asks for it; see attributions/__init__.py.
FILLED_IN = frozenset({"layer", "noise", "notes", "flags"})
MANY = 10_000_000  # the largest number that a setting takes where it names no bounds


@dataclass(frozen=True)
class Range:
    """Bounds of a setting, as in ``sigma: Annotated[float, Range(0)]``; both ends are allowed.

    Args:
        low: the least value.
        high: the greatest.
    """

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Setting:
    """One setting of a method.

    Args:
        name: the key in ``--method NAME:KEY=VALUE``.
        type: int, float, bool, str or a Literal; optional ones accept ``none``.
        optional: whether none is a value.
        default: in force when it is not given.
        range: what numbers may be; by default integers are at least 1 and other numbers above 0.
        description: of the docstring, with units.
    """

    name: str
    type: Any
    optional: bool
    default: object
    range: Range | None
    description: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a Literal."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()


@dataclass(frozen=True)
class Method:
    """A method with its settings, as the user asked for it; picklable.

    Args:
        kind: attack or attribution.
        name: on the command line, such as ``integrated-gradients``.
        settings: every setting, defaults filled in.
        eps: sizes of the ball that were given with this very attack (``pgd:norm=l2,eps=0.5,1``); empty: those of
            ``--eps``, or the norm's default.
        occurrence: 2 for the second use of the same method with the same settings, and so on: it draws other numbers.
    """

    kind: Kind
    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    eps: tuple[Quantity, ...] = ()
    occurrence: int = 1

    @cached_property
    def changed(self) -> dict[str, object]:
        """The settings whose values are not the defaults."""
        defaults = {setting.name: setting.default for setting in settings_of(self.kind, self.name)}
        return {key: value for key, value in self.settings.items() if value != defaults.get(key)}

    @cached_property
    def id(self) -> str:
        """Name and changed settings, such as ``pgd-steps10``; the part of a case's id that belongs to the method."""
        return "-".join([self.name, *(f"{key}{_word(value)}" for key, value in self.changed.items())])

    def build(self) -> Any:
        """Make the attack, or the attribution with its settings filled in."""
        made = implementation(self.kind, self.name)
        if inspect.isclass(made):
            return made(**self.settings)
        return lambda *args, **filled: made(*args, **self.settings, **filled)

    def asks_for(self, name: str) -> bool:
        """Say whether an attribution wants the engine to fill something in, such as ``layer``."""
        return name in inspect.signature(implementation(self.kind, self.name)).parameters

    def declared(self, name: str) -> Any:
        """Look up what the method's module declares beside it, such as ``refusal`` or ``TRAITS``; none if nothing."""
        return getattr(_module(self.kind, self.name), name, None)

    def refusal(self, classifier: object) -> str | None:
        """Say why the method cannot work on a classifier; none where it can, or does not say."""
        refuse = self.declared("refusal")
        return None if refuse is None else typing.cast("str | None", refuse(classifier))


def names(kind: Kind) -> list[str]:
    """List the methods of a kind by the files in its folder."""
    folder = Path(__file__).parent / _FOLDERS[kind]
    return sorted(path.stem.replace("_", "-") for path in folder.glob("[!_]*.py"))


@cache
def implementation(kind: Kind, name: str) -> Callable[..., Any]:
    """Import a method.

    Raises:
        UsageError: there is no method of that name.
    """
    if name not in names(kind):
        close = difflib.get_close_matches(name, names(kind), n=3)
        known = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names(kind))}"
        raise UsageError(f"there is no {kind} {name!r}", f"{known} (see --list)")
    module, wanted = _module(kind, name), name.replace("-", "").casefold()
    for value in vars(module).values():
        own = getattr(value, "__module__", None) == module.__name__
        if own and callable(value) and value.__name__.replace("_", "").casefold() == wanted:
            return value  # type: ignore[no-any-return]
    raise TypeError(f"{module.__name__} holds no class or function named after its file")


@cache
def settings_of(kind: Kind, name: str) -> tuple[Setting, ...]:
    """List a method's settings, in the order of its signature."""
    from docstring_parser import DocstringStyle, parse

    made = implementation(kind, name)
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made, include_extras=True)
    arguments = parse(inspect.getdoc(made) or "", DocstringStyle.GOOGLE).params
    described = {argument.arg_name: " ".join((argument.description or "").split()) for argument in arguments}
    found = []
    for parameter in inspect.signature(made).parameters.values():
        fixed = parameter.default is inspect.Parameter.empty or parameter.name in FILLED_IN
        if not fixed:
            type_, optional, bounds = _unwrap(hints[parameter.name])
            words = described.get(parameter.name, "")
            found.append(Setting(parameter.name, type_, optional, parameter.default, bounds, words))
    return tuple(found)


def source_of(kind: Kind, name: str) -> tuple[str, str]:
    """Give a method's one-line idea and its source, from its module's docstring."""
    implementation(kind, name)
    text = inspect.getdoc(_module(kind, name)) or ""
    source = re.search(r"^Source: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return text.splitlines()[0], " ".join(source[1].split()) if source else ""


def parse_methods(
    kind: Kind, texts: Sequence[str], option: str, short: Mapping[str, str | None] | None = None
) -> list[Method]:
    """Read ``NAME[:KEY=VALUE,...]`` for each use of a method.

    Args:
        kind: attack or attribution.
        texts: one per use.
        option: that was typed, for errors: ``--method``.
        short: settings that were given as options of their own to all methods, such as ``{"steps": "10"}`` for
            ``--steps 10``; none where the option was not given.

    Raises:
        UsageError: no such method or setting, a key given twice, or a value that the setting does not take.
    """
    given_short = {key: value for key, value in (short or {}).items() if value is not None}
    methods: list[Method] = []
    for text in texts:
        name, _, rest = text.partition(":")
        name = name.strip()
        known = {setting.name: setting for setting in settings_of(kind, name)}
        given = _pairs(rest, text, option, lists=("eps",) if kind == "attack" else ())
        for key, value in given_short.items():
            _refuse_short(key, name, known, given)
            given[key] = [value]
        sizes = given.pop("eps", []) if kind == "attack" and "eps" not in known else []
        for key in given:
            if key not in known:
                listed = ", ".join(known) or "none"
                raise UsageError(f"{name} has no setting {key!r}", f"settings of {name}: {listed}")
        values = {key: setting.default for key, setting in known.items()}
        values |= {key: _value(known[key], parts[0], name) for key, parts in given.items()}
        one = Method(kind, name, values, tuple(quantity(size, f"{option} {name}:eps") for size in sizes))
        before = sum(replace(method, occurrence=1) == one for method in methods)
        methods.append(replace(one, occurrence=before + 1))
    return methods


def _module(kind: Kind, name: str) -> ModuleType:
    return importlib.import_module(f"advcli.{_FOLDERS[kind]}.{name.replace('-', '_')}")


def _pairs(rest: str, text: str, option: str, lists: Sequence[str]) -> dict[str, list[str]]:
    """Read ``KEY=VALUE,...``; behind a key of ``lists``, further values may follow: ``eps=0.5,1,2``."""
    given, last = dict[str, list[str]](), ""
    for part in rest.split(","):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            continue
        if not equals and last in lists:
            given[last].append(key)
            continue
        if not equals or not key or not value:
            raise UsageError(
                f"{option} {text!r}: {part!r} is not KEY=VALUE", f"write {option} NAME:KEY=VALUE,KEY=VALUE"
            )
        last = key.replace("-", "_")
        if last in given:
            raise UsageError(f"{option} {text!r} gives {last} twice", "leave one out")
        given[last] = [value]
    return given


def _refuse_short(key: str, name: str, known: Mapping[str, Setting], given: Mapping[str, object]) -> None:
    """Refuse an option like ``--steps`` where a method has no such setting, or has its own word about it."""
    option = "--" + key.replace("_", "-")
    if key not in known:
        raise UsageError(f"{name} has no {option}", f"leave it out; {name} has: {', '.join(known) or 'no settings'}")
    if key in given:
        raise UsageError(f"{option} is given beside {name}:{key}=", f"say it once: {option}, or {name}:{key}=")


def _value(setting: Setting, text: str, method: str) -> object:
    """Turn a text into a setting's value."""
    from pydantic import TypeAdapter, ValidationError

    if setting.optional and text.lower() == "none":
        return None
    adapter: TypeAdapter[object] = TypeAdapter(_bounded(setting))
    try:
        return adapter.validate_python(_as_number(text) if setting.type is float else text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].replace("Input", setting.name)
        raise UsageError(f"{method}: {setting.name}={text}: {reason}", f"see --list for {method}'s settings") from None


def _bounded(setting: Setting) -> Any:
    """Annotate a setting's type with its bounds; the default ones where it names none."""
    from pydantic import Field

    if setting.type not in (int, float):
        return setting.type
    if (given := setting.range) is not None:
        low, high = (None if math.isinf(end) else end for end in (given.low, given.high))
        return typing.Annotated[setting.type, Field(ge=low, le=high)]
    bounds = Field(ge=1, le=MANY) if setting.type is int else Field(gt=0, le=MANY)
    return typing.Annotated[setting.type, bounds]


def _as_number(text: str) -> object:
    try:
        return number(text)
    except ValueError:
        return f"{text}, which is not finite"  # pydantic would read nan and inf


def _word(value: object) -> str:
    """Write a value into an id: ``2_255`` for 2/255, ``true``, ``none``, and what Python writes otherwise."""
    if isinstance(value, float):
        levels = round(value * 510) / 2
        return f"{levels:g}_255" if levels and levels / 255 == value else repr(value)
    return str(value).lower() if isinstance(value, bool) or value is None else str(value).replace("/", "_")


def _unwrap(hint: Any) -> tuple[Any, bool, Range | None]:
    """Take a type apart: what it is, whether none is allowed, and the bounds it names."""
    bounds = None
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        bounds = next((extra for extra in extras if isinstance(extra, Range)), None)
    members = typing.get_args(hint)
    if type(None) in members:
        inner, _, inner_bounds = _unwrap(next(member for member in members if member is not type(None)))
        return inner, True, bounds or inner_bounds
    return hint, False, bounds
