"""Classification networks of torchvision; the only file of this room that imports it, and only when asked for one."""

import http.client
import pickle
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.card import Preprocessing
from advcli.models.loading.found import Blueprint, Found
from advcli.models.zoo import DEFAULT

IMAGENET_CLASSES = 1000


def names() -> tuple[str, ...]:
    """Name torchvision's classification networks, sorted."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def pretrained(name: str, weights: str | None) -> Found:
    """Build a network with torchvision's own weights, downloaded on first use.

    Args:
        name: one of :func:`names`.
        weights: name in the network's weights enum, with or without the enum; by default torchvision's default.

    Returns:
        The network with the classes and preprocessing that belong to the weights.

    Raises:
        UsageError: the network has no weights of that name.
        ModelError: the weights could not be downloaded or read.
    """
    from torchvision import models

    chosen = _weights(name, weights)
    try:
        network = models.get_model(name, weights=chosen, progress=False)
    except (OSError, http.client.HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(chosen.url).name
        hint = f"without a network, use --model {DEFAULT}, which is built in; or put the file at {kept}"
        raise ModelError(f"cannot download the weights of {name} from {chosen.url}: {error}", hint) from error
    return Found(
        network=network,
        architecture=f"torchvision:{name}",
        source=str(chosen),
        preprocessing=_preprocessing(chosen, normalized=True),
        normalization_known=True,
        classes=tuple(chosen.meta["categories"]),
    )


def blueprint(name: str) -> Blueprint:
    """Describe an architecture of torchvision; its input size is that of the default weights.

    Args:
        name: one of :func:`names`.
    """
    return Blueprint(
        name=f"torchvision:{name}",
        build=partial(_build, name),
        classes=IMAGENET_CLASSES,
        preprocessing=_preprocessing(_weights(name, None), normalized=False),
    )


def _build(name: str, classes: int) -> nn.Module:
    from torchvision import models

    with warnings.catch_warnings():
        # GoogLeNet and Inception announce that their initialization will change; theirs is as good as another.
        warnings.filterwarnings("ignore", "The default weight initialization", FutureWarning)
        network: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return network


def _weights(name: str, weights: str | None) -> Any:
    """Look up a member of a weights enum; torchvision brings no types."""
    from torchvision import models

    enum = models.get_model_weights(name)
    wanted = "DEFAULT" if weights is None else weights.rpartition(".")[2]
    if wanted not in enum.__members__:
        known = ", ".join([*(member.name for member in enum), "none"])
        hint = f"one of: {known}; a file of your own goes to --model, with --arch {name}"
        raise UsageError(f"{name} has no --weights {weights}", hint)
    return enum[wanted]


def _preprocessing(weights: Any, *, normalized: bool) -> Preprocessing:
    preset = weights.transforms()
    side = preset.crop_size[0]
    known = {"mean": tuple(preset.mean), "std": tuple(preset.std)} if normalized else {}
    return Preprocessing(
        size=(side, side), resize=preset.resize_size[0], interpolation=preset.interpolation.value, **known
    )
