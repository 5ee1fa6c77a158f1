"""What a user asked for when naming a model, before anything is looked up."""

import math
from dataclasses import dataclass
from pathlib import Path

from advcli.errors import UsageError
from advcli.models.zoo import DEFAULT

Channels = tuple[float, float, float]
LARGEST_SIZE = 8192  # pixels; one float32 picture of that side takes 0.8 GB before the first layer has run
SMALLEST_STD = 1e-6  # pixels divided by less leave float32 behind after a few layers


@dataclass(frozen=True)
class ModelRequest:
    """A model by name, and what the user says about it; small and picklable, so that a worker can load its own.

    Args:
        name: a built-in name, ``resnet18``, ``torchvision:NAME``, ``timm:NAME``, a file, or ``FILE.py:FUNCTION``.
        arch: the architecture of a state dict: one of our own, a torchvision name, ``timm:NAME`` or
            ``FILE.py:FUNCTION``.
        weights: for torchvision, the name of a weights enum, by default its own default; for ``FILE.py:FUNCTION``, a
            state dict to load, by default what the code made; ``none`` for random weights, the same in every run.
        classes: file with the names of the classes; by default what the model's source knows, else "0", "1", ...
        mean: per channel, of pixels in [0, 1]; by default what the source knows, else zeros.
        std: per channel, of pixels in [0, 1]; by default what the source knows, else ones.
        size: side of the square input, in pixels; by default what the source knows.
        trust: whether code inside the model's file may run.

    Raises:
        UsageError: the name is empty, or a number is out of range.
    """

    name: str = DEFAULT
    arch: str | None = None
    weights: str | None = None
    classes: Path | None = None
    mean: Channels | None = None
    std: Channels | None = None
    size: int | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        for option in ("name", "arch", "weights"):
            if getattr(self, option) is not None and not getattr(self, option).strip():
                shown = "--model" if option == "name" else f"--{option}"
                raise UsageError(f"{shown} '' is empty", "is a shell variable unset? advcli model list shows the names")
        if self.mean is not None and not all(map(math.isfinite, self.mean)):
            raise UsageError(f"--mean {self.mean} is not finite", "give three numbers, such as 0.485,0.456,0.406")
        if self.std is not None and not all(math.isfinite(value) and value > 0 for value in self.std):
            raise UsageError(f"--std {self.std} is not positive", "give three numbers, such as 0.229,0.224,0.225")
        if self.std is not None and min(self.std) < SMALLEST_STD:
            raise UsageError(
                f"--std {self.std} is below {SMALLEST_STD}", "pixels are in [0, 1], and so is their spread"
            )
        if self.size is not None and not 1 <= self.size <= LARGEST_SIZE:
            gigabytes = self.size**2 * 3 * 4 / 1e9
            reason = "not positive" if self.size < 1 else f"too large: one picture would take {gigabytes:,.1f} GB"
            raise UsageError(f"--size {self.size} is {reason}", "give the side of the input in pixels, such as 224")
