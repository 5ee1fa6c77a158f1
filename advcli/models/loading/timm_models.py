"""Networks of timm, where it is installed."""

import math
from functools import partial
from types import ModuleType
from typing import Any, get_args

from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.card import Interpolation, Preprocessing
from advcli.models.loading.found import Blueprint, Found
from advcli.models.loading.suggestions import closest
from advcli.models.zoo import DEFAULT


def pretrained(name: str, weights: str | None) -> Found:
    """Build a network with timm's weights, downloaded on first use.

    Args:
        name: as ``timm.create_model`` takes it, with or without a tag (``resnet18.a1_in1k``).
        weights: must be left out: timm names weights by the tag.

    Returns:
        The network with the preprocessing, and the ImageNet classes, that belong to the weights.

    Raises:
        UsageError: ``weights`` is given.
        ModelError: timm is not installed or has no such network, or the weights could not be downloaded.
    """
    timm = _timm(name)
    if weights is not None:
        raise UsageError(f"timm has no --weights {weights}", f"name the tag, as in timm:{name}.TAG, or --weights none")
    try:
        network = timm.create_model(name, pretrained=True)
    except Exception as error:  # the hub's client raises the errors of whatever it is built on
        hint = f"without a network, use --model {DEFAULT}, which is built in"
        raise ModelError(f"cannot download the weights of timm:{name}: {_first_line(error)}", hint) from error
    config = timm.data.resolve_model_data_config(network)
    return Found(
        network=network,
        architecture=f"timm:{name}",
        source=f"timm {name.partition('.')[0]}.{network.pretrained_cfg['tag']}",
        preprocessing=_preprocessing(config, normalized=True),
        normalization_known=True,
        classes=_classes(timm, network),
        notes=_notes(config),
    )


def blueprint(name: str) -> Blueprint:
    """Describe an architecture of timm; its input size is that of the default weights.

    Raises:
        ModelError: timm is not installed or has no such network.
    """
    timm = _timm(name)
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    return Blueprint(
        name=f"timm:{name}",
        build=partial(_build, name),
        classes=timm.get_pretrained_cfg(name).num_classes,
        preprocessing=_preprocessing(config, normalized=False),
    )


def _timm(name: str) -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise ModelError(f"timm:{name} needs timm, which is not installed", "pip install timm") from error
    if not timm.is_model(name):
        raise ModelError(f"timm has no network {name!r}", _closest(name, timm.list_models()))
    tags = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if "." in name and name not in tags:
        raise ModelError(f"timm has no weights {name!r}", _closest(name, tags))
    return timm  # type: ignore[no-any-return]


def _closest(name: str, known: list[str]) -> str:
    return closest(name, known, prefix="timm:", shown_by="timm.list_models()")


def _build(name: str, classes: int) -> nn.Module:
    network: nn.Module = _timm(name).create_model(name, pretrained=False, num_classes=classes)
    return network


def _classes(timm: ModuleType, network: Any) -> tuple[str, ...] | None:
    subset = timm.data.infer_imagenet_subset(network)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(info.num_classes()))


def _preprocessing(config: dict[str, Any], *, normalized: bool) -> Preprocessing:
    _, height, width = config["input_size"]
    known = {"mean": tuple(config["mean"]), "std": tuple(config["std"])} if normalized else {}
    return Preprocessing(
        size=(height, width),
        resize=math.floor(min(height, width) / config["crop_pct"]),
        interpolation=config["interpolation"] if config["interpolation"] in get_args(Interpolation) else "bicubic",
        **known,
    )


def _notes(config: dict[str, Any]) -> tuple[str, ...]:
    mode = config["crop_mode"]
    return (
        ()
        if mode == "center"
        else (f"timm prepares pictures by crop mode {mode}; here they are cropped at the center",)
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
