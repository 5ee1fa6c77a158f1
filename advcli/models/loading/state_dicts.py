"""Weights without their code: put into an architecture, or held against the known ones to say which it could be."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from advcli.errors import ModelError
from advcli.models.architectures import ARCHITECTURES
from advcli.models.loading.found import Blueprint
from advcli.models.loading.pickles import listed

Shapes = dict[str, tuple[int, ...]]
BORN_LATER = "num_batches_tracked"  # absent before torch 0.4.1; torch fills it in
LIKENESS = 0.5  # share of tensors that agree, from which an architecture is worth naming


def build_for(blueprint: Blueprint, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Build an architecture for as many classes as the weights have, and load them.

    Args:
        blueprint: the architecture.
        state: the weights.
        path: where they came from, for the error.

    Returns:
        The network with these weights.

    Raises:
        ModelError: they do not fit; the hint names the closest architecture.
    """
    network = blueprint.build(blueprint.classes)
    count = _classes(_shapes(network.state_dict()), _shapes(state), blueprint.classes)
    if count != blueprint.classes:
        network = blueprint.build(count)
    fill(network, state, blueprint.name, path)
    return network


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Load weights into a network, all of them or none.

    Args:
        network: changed in place.
        state: the weights.
        name: what to call the network in the error.
        path: where the weights came from, for the error.

    Raises:
        ModelError: they do not fit; the message names the first tensors that differ.
    """
    differences = _differences(_shapes(network.state_dict()), _shapes(state))
    if differences:
        raise ModelError(f"{path} does not fit {name}: {differences}", suggestion(state, but=name))
    unfit = {name: kind for name, tensor in state.items() if (kind := _unfit(tensor))}
    if unfit:
        first = next(iter(unfit))
        raise ModelError(f"{path} has weights that are {unfit[first]}: {first}", "save them as plain dense tensors")
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit {name}: {error}", suggestion(state, but=name)) from error


def _unfit(tensor: Tensor) -> str:
    """Say why a tensor is none that a network can take, whatever its shape; empty where it is one."""
    if tensor.is_complex():
        return "complex"
    if tensor.is_meta:
        return "without values (on the device meta)"
    return "" if tensor.layout == torch.strided else f"not dense ({str(tensor.layout).removeprefix('torch.')})"


def suggestion(state: Mapping[str, Tensor], but: str = "") -> str:
    """Say in a hint which of our own architectures the weights come closest to.

    Args:
        state: the weights.
        but: the architecture that was tried.
    """
    given = _shapes(state)
    name, likeness = max(((name, _likeness(name, given)) for name in ARCHITECTURES), key=lambda pair: pair[1])
    if name == but:
        return "no known architecture comes closer; your own goes in as --model FILE.py:FUNCTION --weights FILE"
    if likeness == 1:
        return f"looks like {name}: give --arch {name}"
    if likeness >= LIKENESS:
        return f"the closest known architecture is {name} ({likeness:.0%} of the tensors fit): try --arch {name}"
    return f"give --arch: {', '.join(ARCHITECTURES)}, or a torchvision name such as resnet18, or timm:NAME"


def _likeness(name: str, given: Shapes) -> float:
    """Share of tensors, of the architecture and the file together, whose names and shapes agree."""
    classes = 10
    with torch.device("meta"):  # shapes only: nothing is filled with random numbers
        known = _shapes(ARCHITECTURES[name].build(classes).state_dict())
        count = _classes(known, given, classes)
        if count != classes:
            known = _shapes(ARCHITECTURES[name].build(count).state_dict())
    known, given = _comparable(known, given)
    return sum(given.get(key) == shape for key, shape in known.items()) / len(known.keys() | given.keys())


def _classes(known: Shapes, given: Shapes, classes: int) -> int:
    """Number of logits that the weights have.

    Read off the tensors that differ in nothing but the first axis, where the architecture has the number of classes it
    was built for: this works in whatever order a file keeps its tensors.
    """
    lengths = {
        given[key][0]
        for key, shape in known.items()
        if key in given and shape[:1] == (classes,) and given[key] != shape and given[key][1:] == shape[1:]
    }
    return lengths.pop() if len(lengths) == 1 else classes


def _differences(known: Shapes, given: Shapes) -> str:
    known, given = _comparable(known, given)
    missing = [key for key in known if key not in given]
    unexpected = [key for key in given if key not in known]
    misshapen = [
        f"{key} is {given[key]}, not {shape}" for key, shape in known.items() if key in given and given[key] != shape
    ]
    parts = [
        f"missing {listed(missing)}" if missing else "",
        f"unexpected {listed(unexpected)}" if unexpected else "",
        listed(misshapen),
    ]
    return "; ".join(part for part in parts if part)


def _comparable(known: Shapes, given: Shapes) -> tuple[Shapes, Shapes]:
    """Leave out the counters of batch norms where an old file does not have them."""
    absent = {key for key in known if key.endswith(BORN_LATER) and key not in given}
    return {key: shape for key, shape in known.items() if key not in absent}, given


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(value.shape) for name, value in state.items()}
