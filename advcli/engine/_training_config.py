"""What ``train`` is asked for."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from advcli.errors import UsageError
from advcli.images.cifar10 import NAME as CIFAR10
from advcli.models.loading.request import LARGEST_SIZE, SMALLEST_STD
from advcli.training.augmentation import parse_augment
from advcli.training.objectives import Hardening
from advcli.training.recipes import Recipe

STOPS = ("alpha",)


@dataclass(frozen=True)
class TrainConfig:
    """What is to be learned, and how.

    Args:
        data: each ``cifar10``, a folder of class folders, one with such a ``train/`` and ``test/``, or a ``.npz``
            file; one that is named twice counts twice.
        arch: one of our own, a torchvision name, or ``timm:NAME``.
        test: what to measure on after every epoch, in the same forms; by default the test images of the data.
        recipe: rates, lengths, augmentation and splits.
        pretrained: begin with the weights that torchvision or timm has for the architecture.
        size: side of the input in pixels; by default the architecture's.
        hardening: what it is hardened against.
        patience: epochs without a new lowest validation loss after which it stops; none for no such end.
        stop_on: ``alpha`` stops by the spectra of the weights, see ``spectra.stopping``; none for no such end.
        keep_every: epochs between weights that are kept in ``checkpoints/``; none for no such files.
        track: follow the distribution of weights and biases.
        download: fetch ``cifar10`` where it is not there.
    """

    data: tuple[Path | str, ...]
    arch: str = "cifar-resnet20"
    test: Path | str | None = None
    recipe: Recipe = field(default_factory=Recipe)
    pretrained: bool = False
    size: int | None = None
    hardening: Hardening = field(default_factory=Hardening)
    patience: int | None = None
    stop_on: str | None = None
    keep_every: int | None = None
    track: bool = False
    download: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            UsageError: a value has no meaning.
        """
        if self.recipe.std is not None and min(self.recipe.std) < SMALLEST_STD:
            raise UsageError(f"--std {self.recipe.std} is below {SMALLEST_STD}", "pixels are in [0, 1]")
        parse_augment(self.recipe.augment)
        for name, least, most in (("size", 1, LARGEST_SIZE), ("patience", 1, 10**9), ("keep_every", 1, 10**9)):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} {value} is not between {least} and {most}", "see advcli train --help")
        if self.stop_on is not None and self.stop_on not in STOPS:
            raise UsageError(f"--stop-on {self.stop_on!r} is not known", f"use {' or '.join(STOPS)}")
        if self.download and CIFAR10 not in map(str, (*self.data, self.test)):
            raise UsageError(f"--download is for --data {CIFAR10}", "leave it out")
        if self.patience is not None and not self.recipe.val:
            raise UsageError("--patience goes by validation images, of which there are none", "give --val 0.1")

    @property
    def settings(self) -> dict[str, object]:
        """What decides the weights, beside the seed and the data."""
        recipe = {name: value for name, value in asdict(self.recipe).items() if name not in ("mean", "std")}
        return {
            "arch": self.arch,
            "pretrained": self.pretrained,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in recipe.items()},
            **self.hardening.settings,
            "patience": self.patience,
            "stop_on": self.stop_on,
            "keep_every": self.keep_every,
            "track": self.track,
        }
