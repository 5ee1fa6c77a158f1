"""What ``advcli model list`` lists, and what ``--arch`` understands."""

from dataclasses import dataclass
from typing import Literal

from advcli.errors import ModelError
from advcli.models import zoo
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Preprocessing
from advcli.models.loading import timm_models, torchvision_models
from advcli.models.loading.found import Blueprint
from advcli.models.loading.suggestions import closest

OWN_CLASSES = 10  # all our architectures are for CIFAR-10


@dataclass(frozen=True)
class Listed:
    """One name that can be given.

    Args:
        name: as typed.
        kind: ``built-in`` and ``torchvision`` go to ``--model``; ``architecture`` and ``torchvision`` to ``--arch``.
    """

    name: str
    kind: Literal["built-in", "architecture", "torchvision"]


def list_models() -> tuple[Listed, ...]:
    """List the networks and architectures that have a name; those of timm, some thousand, are left to timm."""
    return (
        *(Listed(name, "built-in") for name in zoo.names()),
        *(Listed(name, "architecture") for name in ARCHITECTURES),
        *(Listed(name, "torchvision") for name in torchvision_models.names()),
    )


def blueprint(arch: str) -> Blueprint:
    """Look up what ``--arch`` names.

    Args:
        arch: one of our own, a torchvision name with or without ``torchvision:``, or ``timm:NAME``.

    Raises:
        ModelError: nobody knows the name, or timm is not installed.
    """
    source, _, name = arch.rpartition(":")
    if source == "timm":
        return timm_models.blueprint(name)
    if not source and name in ARCHITECTURES:
        own = ARCHITECTURES[name]
        return Blueprint(name, own.build, OWN_CLASSES, Preprocessing(size=(own.size, own.size), resize=own.size))
    if source in ("", "torchvision") and name in torchvision_models.names():
        return torchvision_models.blueprint(name)
    known = [*ARCHITECTURES, *torchvision_models.names()]
    raise ModelError(f"there is no architecture {arch!r}", closest(name, known))
