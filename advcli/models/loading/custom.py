"""Networks built by a user's own code: ``FILE.py:FUNCTION``."""

import ast
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.loading.checkpoints import read_state_dict
from advcli.models.loading.found import Found
from advcli.models.loading.pickles import beside
from advcli.models.loading.state_dicts import fill
from advcli.models.loading.surroundings import put_back


def is_custom(name: str) -> bool:
    """Whether a model's name is of the form ``FILE.py:FUNCTION``, or means to be."""
    return name.endswith(".py") or name.rpartition(":")[0].endswith(".py")


def build(name: str, weights: str | None, *, trust: bool, option: str = "--model") -> Found:
    """Run a user's code to get a network.

    Args:
        name: ``FILE.py:NAME``; what bears the name is a network, or a function or class that gives one when called
            without arguments.
        weights: file with a state dict to load into it; by default the network stays as the code made it.
        trust: whether code in that file may run too.
        option: that was typed, for errors.

    Returns:
        The network; the file's SHA-256 is in its source and notes.

    Raises:
        UsageError: no function is named.
        ModelError: no such file or function, the code failed, it gave something else, or the weights do not fit.
    """
    file, _, attribute = name.rpartition(":")
    path = Path(file).expanduser().absolute()
    if not file.endswith(".py"):
        known = _definitions(Path(name).expanduser().absolute())
        hint = f"write {option} {name}:FUNCTION" + (f"; it defines {', '.join(known)}" if known else "")
        raise UsageError(f"{option} {name} does not say which function", hint)
    digest = _sha256(path)
    with beside(path.resolve()), put_back():
        network = _network(_run(path, digest), path, attribute)
    notes = [f"own code from {path}, SHA-256 {digest}"]
    if weights is not None:
        fill(network, read_state_dict(Path(weights), trust=trust), name, Path(weights))
        notes.append(f"weights from {weights}")
    return Found(network, architecture="custom", source=f"{name} sha256:{digest}", notes=tuple(notes))


def _definitions(path: Path) -> list[str]:
    """Name the functions and classes of a file, which is not run for it."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}", "check the path given to --model") from error


def _run(path: Path, digest: str) -> ModuleType:
    # The digest keeps two files of one name apart, and two versions of one file.
    name = f"{path.stem}_{digest[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"cannot import {path}", "check the path given to --model")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look the module up by its name
    try:
        _called(lambda: spec.loader.exec_module(module), path, "importing it")  # type: ignore[union-attr]
    except ModelError:
        del sys.modules[name]
        raise
    return module


def _network(module: ModuleType, path: Path, attribute: str) -> nn.Module:
    found = getattr(module, attribute, None)
    if found is None:
        own = (name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__)
        public = ", ".join(name for name in own if not name.startswith("_"))
        raise ModelError(f"{path} has no {attribute!r}", f"it has {public}" if public else "it defines nothing to call")
    if callable(found) and not isinstance(found, nn.Module):
        found = _called(found, path, f"{attribute}()")
    if not isinstance(found, nn.Module):
        hint = "name a torch.nn.Module, or a function without arguments that returns one"
        raise ModelError(f"{path}:{attribute} gave a {type(found).__name__}, not a network", hint)
    return found


def _called(function: Callable[[], object], path: Path, what: str) -> object:
    try:
        return function()
    except (Exception, SystemExit) as error:  # a user's code may raise anything, and scripts exit
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
        where = f"see line {lines[-1]} of {path}" if lines else f"see {path}"
        raise ModelError(f"{path} failed at {what}: {type(error).__name__}: {error}", where) from error
