"""Files that can run code while they load: TorchScript, exported programs and pickles. Only for who trusts them."""

import pickle
import types
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from advcli.errors import ModelError
from advcli.models.loading.pickles import beside, module_in

Runnable = Literal["torchscript", "exported", "pickle"]
WORDS: dict[Runnable, str] = {
    "torchscript": "a TorchScript archive",
    "exported": "a program of torch.export",
    "pickle": "a Python pickle",
}


def load_unsafe(path: Path, kind: Runnable, *, trust: bool) -> nn.Module:
    """Load a whole network from a file that can run code.

    Args:
        path: the file.
        kind: what :func:`advcli.models.loading.file_format.file_format` said.
        trust: whether the user allows it.

    Returns:
        The network on the CPU. An exported program behaves in every mode as it was exported.

    Raises:
        ModelError: it is not trusted, is damaged, or holds no network.
    """
    if not trust:
        hint = "if you trust whoever made the file, add --trust-model; safer: a state dict with --arch"
        raise ModelError(f"{path} is {WORDS[kind]}, which can run code when it is loaded", hint)
    try:
        network = _LOADERS[kind](path)
    except Exception as error:  # it runs what the file says, which can raise anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"cannot load {path} as {WORDS[kind]}: {reason}", "save it again") from error
    if network is None:
        raise ModelError(f"{path} is {WORDS[kind]} without a network in it", "give a state dict with --arch")
    return network


def _torchscript(path: Path) -> nn.Module:
    with warnings.catch_warnings():
        # torch announces the end of TorchScript at every call; the user has the file and cannot help it.
        warnings.filterwarnings("ignore", ".*torch.jit.* is deprecated", FutureWarning)
        network: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return network


def _exported(path: Path) -> nn.Module:
    with path.open("rb") as file:  # given a path, torch would go by its extension
        network = torch.export.load(file).module()
    # torch forbids train() and eval() on exported graphs, because the mode is part of the graph and they would change
    # nothing. Here nothing is what eval() has to do, so a module's own methods, which only set flags, are put back.
    for method in ("train", "eval"):
        setattr(network, method, types.MethodType(getattr(type(network), method), network))
    return network


def _pickle(path: Path) -> nn.Module | None:
    with path.open("rb") as file, beside(path):
        return module_in(pickle.load(file))  # noqa: S301 -- the user trusts the file, that is what this module is for


_LOADERS = {"torchscript": _torchscript, "exported": _exported, "pickle": _pickle}
