"""The card of a loaded network: what its source knows, what the user says instead, and what one forward pass shows."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from advcli.errors import ModelError, UsageError
from advcli.models import classes
from advcli.models.card import Card, Preprocessing
from advcli.models.loading.found import Found
from advcli.models.loading.request import ModelRequest
from advcli.models.loading.surroundings import put_back

PROBE_ROWS = 2  # one row would let networks pass that only ever take one


def describe(request: ModelRequest, found: Found) -> Card:
    """Make the card of a network.

    Args:
        request: what the user says goes before what the source knows.
        found: the network, in evaluation mode, and what its source knows. Shown one batch of grey.

    Returns:
        The card; it has as many class names as the network has logits.

    Raises:
        UsageError: only one of mean and std is known.
        ModelError: the input size is not known, the network fails on it or gives no logits, or the names are too many
            or too few.
    """
    preprocessing, notes = _preprocessing(request, found)
    count = _count_logits(found.network, preprocessing, request.name)
    names = classes.from_file(request.classes) if request.classes else found.classes
    if names is not None and len(names) != count:
        whose = f"--classes {request.classes} has" if request.classes else "its source has"
        hint = "give --classes FILE with a name for every logit, in their order"
        raise ModelError(f"{request.name} has {count} logits, but {whose} {len(names)} names", hint)
    return Card(
        name=request.name,
        architecture=found.architecture,
        source=found.source,
        classes=classes.made_up(count) if names is None else classes.distinct(names),
        classes_known=names is not None,
        preprocessing=preprocessing,
        notes=found.notes + notes,
    )


def _preprocessing(request: ModelRequest, found: Found) -> tuple[Preprocessing, tuple[str, ...]]:
    used = _sized(request, found.preprocessing)
    mean, std = request.mean, request.std
    if found.normalization_known:
        return replace(used, mean=mean or used.mean, std=std or used.std), ()
    if mean is None and std is None:
        note = (
            "no normalization is known, so pixels reach the network as they are, in [0, 1]; else give --mean and --std"
        )
        return used, (note,)
    if mean is None or std is None:
        given, other = ("--std", "--mean") if mean is None else ("--mean", "--std")
        raise UsageError(f"{given} is given without {other}, and {request.name} does not say it", f"give {other} too")
    return replace(used, mean=mean, std=std), ()


def _sized(request: ModelRequest, known: Preprocessing | None) -> Preprocessing:
    if request.size is None:
        if known is None:
            raise ModelError(f"{request.name} does not say its input size", "give --size, such as --size 224")
        return known
    size = (request.size, request.size)
    if known is None:
        return Preprocessing(size=size, resize=request.size)
    # The same share of the picture is cut away as at the size that the source knows.
    return replace(known, size=size, resize=max(request.size, round(request.size * known.resize / min(known.size))))


def _count_logits(network: nn.Module, preprocessing: Preprocessing, name: str) -> int:
    height, width = preprocessing.size
    grey = torch.full((PROBE_ROWS, 3, height, width), 0.5)
    try:
        with torch.no_grad(), put_back() as changed:
            logits = network(grey)
    except (Exception, SystemExit) as error:  # a network's forward is somebody's code and may raise anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        hint = _other_dtype(network) or (
            f"it was shown {PROBE_ROWS} RGB pictures; if it takes another size, give --size"
        )
        raise ModelError(f"{name} fails on pictures of {height} x {width}: {reason}", hint) from error
    if changed:
        hint = "take that out of its forward: everything else in the process depends on it"
        raise ModelError(f"{name} changes {' and '.join(changed)} when it is called", hint)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != PROBE_ROWS or logits.shape[1] < 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        hint = "wrap it so that it returns logits alone, at least two: --model FILE.py:FUNCTION"
        raise ModelError(f"{name} gives {what} for {PROBE_ROWS} pictures, not logits ({PROBE_ROWS}, K)", hint)
    return logits.shape[1]


def _other_dtype(network: nn.Module) -> str:
    """Say what to do about weights that are not float32, as pictures are; empty where all are."""
    kinds = {str(one.dtype).removeprefix("torch.") for one in network.parameters() if one.is_floating_point()}
    others = sorted(kinds - {"float32"})
    return (
        f"pictures are float32, weights {', '.join(others)}: return network.float(), or cast in forward"
        if others
        else ""
    )
