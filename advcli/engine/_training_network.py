"""The network of a training, as it begins, and how it is written down."""

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from advcli.engine._training_config import TrainConfig
from advcli.engine._training_data import Data
from advcli.errors import ModelError, UsageError
from advcli.images.datasets import Reading
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card, Preprocessing
from advcli.models.loading import timm_models, torchvision_models
from advcli.models.loading.catalog import blueprint
from advcli.models.loading.checkpoints import write_model
from advcli.models.loading.found import Blueprint, Found
from advcli.training.adversarial import evaluating
from advcli.training.recipes import Triple
from advcli.training.spectral import add_spectral_norm, without_parametrizations

_SAMPLE = 5000 * 32 * 32  # pixels that the normalization is measured on


@dataclass(frozen=True)
class Design:
    """What is known of the network before there are data.

    Args:
        config: of the training.
    """

    config: TrainConfig

    @cached_property
    def plan(self) -> Blueprint:
        """The architecture.

        Raises:
            ModelError: nobody knows its name.
        """
        return blueprint(self.config.arch)

    @cached_property
    def pretrained(self) -> Found | None:
        """The weights to begin with; none for random ones.

        Raises:
            UsageError: nobody has weights for the architecture.
            ModelError: they cannot be downloaded.
        """
        if not self.config.pretrained:
            return None
        if self.config.arch in ARCHITECTURES:
            raise UsageError(f"--pretrained has no weights for {self.config.arch}", "give --arch resnet18, or leave it")
        source, _, name = self.plan.name.partition(":")
        try:
            pretrained = timm_models.pretrained if source == "timm" else torchvision_models.pretrained
            return pretrained(name, None)
        except ModelError as error:
            *_, put = error.hint.rpartition("; or ")
            raise ModelError(error.message, f"give --no-pretrained to begin with random weights; or {put}") from error

    @property
    def preprocessing(self) -> Preprocessing:
        """Input size; the normalization is known with the data."""
        known = self.plan.preprocessing
        size = self.config.size
        return known if size is None else replace(known, size=(size, size), resize=size)

    @property
    def reading(self) -> Reading:
        """How pictures become pixels."""
        how = self.preprocessing
        return Reading(how.size[0], how.resize, how.interpolation)


@dataclass(frozen=True)
class Beginning:
    """The network before its first step.

    Args:
        network: normalized pixels to logits, with the parametrizations of the training.
        card: of the files that are written of it.
        normalized: layers that spectral normalization holds.
    """

    network: nn.Module
    card: Card
    normalized: tuple[str, ...]

    def write(self, path: Path, told: Mapping[str, object]) -> None:
        """Write the network as it is now, with the weights that it computes with, as a file that ``--model`` takes.

        Args:
            path: of the file; missing folders are made.
            told: about the training, for the header.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}", "give another --out") from error
        write_model(path, self.bare, self.card, {"training": json.dumps(told, sort_keys=True)})

    @property
    def bare(self) -> nn.Module:
        """A copy with plain weights."""
        with evaluating(self.network):
            return without_parametrizations(self.network).eval()


def begin(design: Design, data: Data, seed: int, path: Path) -> Beginning:
    """Build the network.

    Args:
        design: of it.
        data: whose classes it tells apart, and whose pixels it is normalized by.
        seed: of its random weights.
        path: of its file, for the card.

    Raises:
        UsageError: spectral normalization finds no layer.
        ModelError: it does not take pictures of that size, or pretrained weights cannot be had.
    """
    config, plan = design.config, design.plan
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the CUDA devices too
        network = plan.build(len(data.classes))
        if design.pretrained is not None:
            _start_from(network, design.pretrained)
        which = config.hardening.spectral_norm
        normalized = add_spectral_norm(network, which) if which else ()
    how = _normalization(design, data)
    _try(network, how, config.arch)
    if min(config.recipe.batch_size, len(data.train)) == 1:
        _try_alone(network, how, config.arch)
    return Beginning(network, Card(config.arch, plan.name, str(path), data.classes, how), normalized)


def _start_from(network: nn.Module, found: Found) -> None:
    """Take over all weights but those of layers that have another shape here: the last one, for other classes."""
    own = network.state_dict()
    there = found.network.state_dict()
    fitting = {name: value for name, value in there.items() if name in own and own[name].shape == value.shape}
    network.load_state_dict(fitting, strict=False)


def _normalization(design: Design, data: Data) -> Preprocessing:
    recipe, known = design.config.recipe, design.preprocessing
    if design.pretrained is not None and design.pretrained.preprocessing is not None:
        there = design.pretrained.preprocessing
        return replace(known, mean=recipe.mean or there.mean, std=recipe.std or there.std)
    places = data.train.places[:: max(1, len(data.train) * math.prod(known.size) // _SAMPLE)]
    sample = data.train.dataset.images[places].astype(np.float32) / 255
    mean, std = sample.mean((0, 1, 2), dtype=np.float64), sample.std((0, 1, 2), dtype=np.float64)
    # Images of a single color spread by nothing, and nothing can be divided by nothing.
    return replace(known, mean=recipe.mean or _triple(mean), std=recipe.std or _triple(std.clip(min=1e-3)))


def _try(network: nn.Module, how: Preprocessing, name: str) -> None:
    """Refuse an input size that the network does not take, before anything is learned."""
    height, width = how.size
    try:
        with evaluating(network), torch.no_grad():
            network(torch.zeros(2, 3, height, width))
    except Exception as error:  # a network's forward is somebody's code and may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelError(f"{name} does not take {height} x {width} pixels: {reason}", "give another --size") from error


def _try_alone(network: nn.Module, how: Preprocessing, name: str) -> None:
    """Refuse batches of one image for a network whose batch norms then have a single value."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy.deepcopy(network).train()(torch.zeros(1, 3, *how.size))
    except ValueError as error:
        raise UsageError(
            f"{name} does not learn from one image at a time: {error}", "give --batch-size 2 or more, and more images"
        ) from error


def _triple(values: np.ndarray) -> Triple:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue
