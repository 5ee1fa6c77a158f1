"""From what a user typed to a network and its card: finds the source, loads, describes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models import classes, zoo
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card
from advcli.models.loading import custom, timm_models, torchvision_models
from advcli.models.loading.catalog import blueprint
from advcli.models.loading.checkpoints import read_model
from advcli.models.loading.describing import describe
from advcli.models.loading.file_format import file_format
from advcli.models.loading.found import Blueprint, Found
from advcli.models.loading.pickles import load_pickle, module_in, state_dict_in
from advcli.models.loading.request import ModelRequest
from advcli.models.loading.state_dicts import build_for, fill, suggestion
from advcli.models.loading.suggestions import closest
from advcli.models.loading.unsafe_formats import load_unsafe

RANDOM_SEED = 0  # of --weights none, so that a random network has the same fingerprint in every run
SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".pt2", ".pkl", ".ckpt", ".bin")


def load_network(request: ModelRequest) -> tuple[nn.Module, Card]:
    """Load the network that a user asked for.

    Args:
        request: its name, and what the user says about it.

    Returns:
        The network in evaluation mode on the CPU with its weights as stored, and its card, which has a class name for
        every logit. The caller's random state is as before; the weights are the same in every call.

    Raises:
        UsageError: an option that the model has no use for, or with a value it cannot have.
        ModelError: there is no such model, or it cannot be loaded, or it is no classifier of RGB pictures.
    """
    with _own_randomness():
        found = _find(request)
        found.network.eval()
        _refuse_unusable_weights(found.network, request.name)
        return found.network, describe(request, found)


def _refuse_unusable_weights(network: nn.Module, name: str) -> None:
    for tensor, values in network.state_dict().items():
        if not isinstance(values, torch.Tensor):
            continue
        if values.is_complex():
            raise ModelError(f"{name} has complex weights: {tensor}", "only real networks can be asked")
        if values.is_floating_point() and not values.isfinite().all():
            raise ModelError(f"{name} has weights that are NaN or infinite: {tensor}", "train or save it again")


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Seed what fills new networks with random weights, and put the caller's state back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(RANDOM_SEED)  # torch.manual_seed would seed the CUDA devices too
        yield


def _find(request: ModelRequest) -> Found:
    name = request.name
    source, _, rest = name.partition(":")
    if custom.is_custom(name):
        _refuse(request, "arch")
        return custom.build(name, request.weights, trust=request.trust)
    if name in zoo.names():
        _refuse(request, "arch", "weights")
        return _from_safetensors(request, zoo.weights(name), "built-in")
    if source in ("torchvision", "timm") and rest:
        _refuse(request, "arch")
        return _from_library(request, source, rest)
    path = Path(name).expanduser()
    if path.is_file():
        _refuse(request, "weights")
        return _from_file(request, path)
    return _from_name(request, path)


def _refuse(request: ModelRequest, *options: str) -> None:
    for option in options:
        value = getattr(request, option)
        if value is not None:
            hint = "--arch is for state dicts; --weights for torchvision, timm and FILE.py:FUNCTION"
            raise UsageError(f"{request.name} takes no --{option} {value}", hint)


def _from_name(request: ModelRequest, path: Path) -> Found:
    name = request.name
    if name in ARCHITECTURES:
        _refuse(request, "arch")
        if request.weights == "none":
            return _random(request, blueprint(name))
        hint = f"give a state dict: --model FILE --arch {name}; or --weights none for random ones"
        raise UsageError(f"{name} is an architecture, without weights", hint)
    if name in torchvision_models.names():
        _refuse(request, "arch")
        return _from_library(request, "torchvision", name)
    if path.exists() or len(path.parts) > 1 or path.suffix in SUFFIXES:
        file_format(path)  # says what is wrong with it: not there, or a folder
    known = [*zoo.names(), *ARCHITECTURES, *torchvision_models.names()]
    raise ModelError(f"there is no model {name!r}", closest(name, known))


def _from_library(request: ModelRequest, source: str, name: str) -> Found:
    if source == "torchvision" and name not in torchvision_models.names():
        hint = closest(name, torchvision_models.names(), prefix="torchvision:")
        raise ModelError(f"torchvision has no classification network {name!r}", hint)
    if request.weights == "none":
        return _random(request, blueprint(f"{source}:{name}"))
    if source == "timm":
        return timm_models.pretrained(name, request.weights)
    return torchvision_models.pretrained(name, request.weights)


def _random(request: ModelRequest, plan: Blueprint) -> Found:
    count = len(classes.from_file(request.classes)) if request.classes else plan.classes
    return Found(plan.build(count), plan.name, source="random", preprocessing=plan.preprocessing)


def _from_file(request: ModelRequest, path: Path) -> Found:
    kind = file_format(path)
    if kind == "safetensors":
        return _from_safetensors(request, path, str(path))
    if kind == "checkpoint":
        loaded = load_pickle(path, trust=request.trust)
        network = module_in(loaded)
        if network is None:
            state = state_dict_in(loaded, path)
            return _from_own_architecture(request, state, path) or _from_state_dict(request, state, path)
    else:
        network = load_unsafe(path, kind, trust=request.trust)
    _refuse(request, "arch")
    return Found(network, architecture="custom", source=str(path))


def _from_safetensors(request: ModelRequest, path: Path, source: str) -> Found:
    state, header = read_model(path)
    own = _from_own_architecture(request, state, path)
    if own is not None:
        return own
    if header is None or request.arch is not None:
        plan = _architecture(request, state, path)
    else:
        plan = blueprint(header.architecture)
    network = build_for(plan, state, path)
    if header is None:
        return Found(network, plan.name, source, plan.preprocessing)
    return Found(
        network=network,
        architecture=plan.name,
        source=source,
        preprocessing=header.preprocessing,
        normalization_known=True,
        classes=header.classes,
    )


def _from_state_dict(request: ModelRequest, state: dict[str, torch.Tensor], path: Path) -> Found:
    plan = _architecture(request, state, path)
    return Found(build_for(plan, state, path), plan.name, str(path), plan.preprocessing)


def _from_own_architecture(request: ModelRequest, state: dict[str, torch.Tensor], path: Path) -> Found | None:
    """Fill a network that ``--arch FILE.py:FUNCTION`` builds; none where the architecture is no such code."""
    if request.arch is None or not custom.is_custom(request.arch):
        return None
    found = custom.build(request.arch, None, trust=request.trust, option="--arch")
    fill(found.network, state, request.arch, path)
    return replace(found, source=f"{path} in {found.source}")


def _architecture(request: ModelRequest, state: dict[str, torch.Tensor], path: Path) -> Blueprint:
    if request.arch is None:
        raise ModelError(f"{path} is a state dict, which does not say its architecture", suggestion(state))
    return blueprint(request.arch)
