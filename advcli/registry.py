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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from advcli.errors import UsageError

Kind = Literal["attack", "attribution"]
_FOLDERS: dict[Kind, str] = {"attack": "attacks", "attribution": "attributions"}
# What the engine fills in for an attribution that asks for it; see attributions/__init__.py.
FILLED_IN = frozenset({"score", "layer", "noise", "notes"})


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
        name: as on the command line.
        label: its name in this run; two uses of one method get different labels.
        settings: every setting, defaults filled in.
    """

    kind: Kind
    name: str
    label: str
    settings: Mapping[str, object]

    def build(self) -> Any:
        """Make the attack, or the attribution with its settings filled in."""
        made = implementation(self.kind, self.name)
        if inspect.isclass(made):
            return made(**self.settings)
        return lambda *args, **filled: made(*args, **self.settings, **filled)

    def asks_for(self, name: str) -> bool:
        """Say whether an attribution wants the engine to fill something in, such as ``layer``."""
        return name in inspect.signature(implementation(self.kind, self.name)).parameters


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
    module = importlib.import_module(f"advcli.{_FOLDERS[kind]}.{name.replace('-', '_')}")
    wanted = name.replace("-", "").casefold()
    for value in vars(module).values():
        own = getattr(value, "__module__", None) == module.__name__
        if own and callable(value) and value.__name__.replace("_", "").casefold() == wanted:
            return value  # type: ignore[no-any-return]
    raise TypeError(f"{module.__name__} holds no class or function named after its file")


def settings_of(kind: Kind, name: str) -> list[Setting]:
    """List a method's settings, in the order of its signature."""
    made = implementation(kind, name)
    hints = typing.get_type_hints(made.__init__ if inspect.isclass(made) else made, include_extras=True)
    described = _described(inspect.getdoc(made) or "")
    found = []
    for parameter in inspect.signature(made).parameters.values():
        fixed = parameter.default is inspect.Parameter.empty or parameter.name in FILLED_IN
        if not fixed:
            kinds = _unwrap(hints[parameter.name])
            found.append(
                Setting(parameter.name, *kinds[:2], parameter.default, kinds[2], described.get(parameter.name, ""))
            )
    return found


def source_of(kind: Kind, name: str) -> tuple[str, str]:
    """Give a method's one-line idea and its source, from its module's docstring."""
    text = inspect.getdoc(inspect.getmodule(implementation(kind, name))) or ""
    source = re.search(r"^Source: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return text.splitlines()[0], " ".join(source[1].split()) if source else ""


def parse_methods(kind: Kind, texts: typing.Sequence[str], option: str) -> list[Method]:
    """Read ``NAME[:KEY=VALUE,...]`` for each use of a method.

    Args:
        kind: attack or attribution.
        texts: as typed.
        option: that was typed, for errors: ``--method``.

    Raises:
        UsageError: no such method or setting, or a value that is none.
    """
    methods: list[Method] = []
    for text in texts:
        name, _, rest = text.partition(":")
        known = {setting.name: setting for setting in settings_of(kind, name.strip())}
        given = dict(_pair(part, text, option) for part in rest.split(",") if part.strip())
        for key in given:
            if key not in known:
                listed = ", ".join(known) or "none"
                raise UsageError(f"{name} has no setting {key!r}", f"settings of {name}: {listed}")
        values = {key: setting.default for key, setting in known.items()}
        values |= {key: _value(known[key], value, name) for key, value in given.items()}
        before = sum(method.name == name.strip() for method in methods)
        label = f"{name.strip()}-{before + 1}" if before else name.strip()
        methods.append(Method(kind, name.strip(), label, values))
    return methods


def number(text: str) -> float:
    """Read a number: ``0.03``, ``1e-3``, or a quotient such as ``8/255`` or ``0.5/255``.

    Raises:
        ValueError: it is none, or not finite.
    """
    above, slash, below = text.partition("/")
    value = float(above) / float(below) if slash else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _pair(part: str, text: str, option: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise UsageError(f"{option} {text!r}: {part!r} is not KEY=VALUE", f"write {option} NAME:KEY=VALUE,KEY=VALUE")
    return key.strip().replace("-", "_"), value.strip()


def _value(setting: Setting, text: str, method: str) -> object:
    where = f"{method}: {setting.name}={text}"
    if setting.optional and text.lower() == "none":
        return None
    if setting.choices:
        if text not in setting.choices:
            raise UsageError(
                f"{where} is not one of {', '.join(setting.choices)}", f"see --list for {method}'s settings"
            )
        return text
    if setting.type is bool:
        if text.lower() not in _TRUTH:
            raise UsageError(f"{where} is neither true nor false", f"write {setting.name}=true or {setting.name}=false")
        return _TRUTH[text.lower()]
    if setting.type not in (int, float):
        return text
    try:
        value = int(text) if setting.type is int else number(text)
    except (ValueError, ZeroDivisionError):
        wanted = "a whole number" if setting.type is int else "a number"
        raise UsageError(f"{where} is not {wanted}", f"see --list for {method}'s settings") from None
    return _within(setting, value, where)


def _within(setting: Setting, value: float, where: str) -> float:
    if setting.range is not None:
        low, high = setting.range.low, setting.range.high
        fits, wanted = low <= value <= high, f"from {low:g} to {high:g}"
    elif setting.type is int:
        fits, wanted = value >= 1, "at least 1"
    else:
        fits, wanted = value > 0, "above 0"
    if not fits:
        raise UsageError(f"{where} is out of range", f"{setting.name} must be {wanted}")
    return value


_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


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


def _described(docstring: str) -> dict[str, str]:
    """Read the ``Args:`` section of a Google-style docstring."""
    section = re.search(r"^Args:\n((?:[ ].*\n?|\n)*)", docstring, re.MULTILINE)
    described: dict[str, str] = {}
    for entry in re.finditer(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE):
        described[entry[1]] = " ".join(entry[2].split())
    return described
