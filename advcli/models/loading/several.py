"""Options that are given once for several models: which of the models each option is meant for."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from advcli.errors import UsageError
from advcli.models import zoo
from advcli.models.loading.checkpoints import read_header
from advcli.models.loading.custom import is_custom
from advcli.models.loading.file_format import file_format
from advcli.models.loading.request import ModelRequest

_EVERY = ("mean", "std", "size", "classes")  # what any model can be told, whether or not it knows better


def requests_for(names: Sequence[str], options: ModelRequest) -> tuple[ModelRequest, ...]:
    """Ask for several models, each with the options that are meant for it.

    ``arch`` goes to the files, ``weights`` to the models that are named. ``mean``, ``std``, ``size`` and ``classes`` go
    to the models whose source does not say them; where all sources say them, to all models. One model alone gets every
    option, so that loading can say what it has no use for.

    Args:
        names: of the models, as typed.
        options: said about them; its own name is not used.

    Raises:
        UsageError: a model is named twice, or none of the models takes an option.
        ModelError: a file is damaged.
    """
    if len(names) == 1:
        return (replace(options, name=names[0]),)
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise UsageError(f"--model {repeated} is given twice", "leave one out")
    meant: dict[str, dict[str, object]] = {name: {"trust": options.trust} for name in names}
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in ("name", "trust") or value is None:
            continue
        for name in _takers(names, field.name, value):
            meant[name][field.name] = value
    return tuple(ModelRequest(name, **told) for name, told in meant.items())  # type: ignore[arg-type]


def _takers(names: Sequence[str], option: str, value: object) -> list[str]:
    if option in _EVERY:
        return [name for name in names if not _says_all(name)] or list(names)
    takers = [name for name in names if (option == "arch") == _is_file(name) and name not in zoo.names()]
    if not takers:
        hint = "--arch is for state dicts; --weights for torchvision, timm and FILE.py:FUNCTION"
        raise UsageError(f"none of the models takes --{option} {value}", hint)
    return takers


def _is_file(name: str) -> bool:
    return not is_custom(name) and name not in zoo.names() and Path(name).is_file()


def _says_all(name: str) -> bool:
    """Whether a model brings its own size, normalization and class names."""
    if not _is_file(name):
        return not is_custom(name)
    return file_format(Path(name)) == "safetensors" and read_header(Path(name)) is not None
