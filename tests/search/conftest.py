"""Flat pictures, and a network that tells bright from dark ones: every margin is a number of levels."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from advcli.core.attack import Traits

LEVEL = 1 / 255
THRESHOLD = 127.3  # of the mean level, above which a picture is bright


class Brightness(nn.Module):
    """Logits of dark and bright: the mean's distance to the threshold, in levels, and its negative."""

    def forward(self, pixels):
        above = pixels.double().mean((1, 2, 3)) * 255 - THRESHOLD
        return torch.stack([-above, above], 1).float()


@dataclass(frozen=True)
class Brighten:
    """Add some levels to every value at every step, one vjp each."""

    traits: ClassVar[Traits] = Traits(norms=("linf",))

    by: float = 1.0
    steps: int = 20

    def start(self, rows):
        """Begin at the image."""

    def step(self, rows, logits, model):
        gradient = model.vjp(rows.goal.ascent(logits))
        rows.adversarial = (rows.adversarial + gradient.sign() * self.by * LEVEL).clamp(0, 1)


@dataclass(frozen=True)
class Visit:
    """Go through the given levels, whatever the image; ask for no gradient."""

    levels: tuple

    traits: ClassVar[Traits] = Traits(norms=("linf",), needs="scores", cost=(1, 0))

    @property
    def steps(self):
        return len(self.levels)

    def start(self, rows):
        """Begin at the image."""

    def step(self, rows, logits, model):
        levels = torch.tensor(self.levels)[rows.age]
        rows.adversarial = (levels * LEVEL).view(-1, 1, 1, 1).expand_as(rows.images)


@dataclass(frozen=True)
class VisitNearest(Visit):
    """The same, keeping the nearest success."""

    traits: ClassVar[Traits] = Traits(norms=("linf",), needs="scores", keeps="smallest", cost=(1, 0))


@dataclass(frozen=True)
class Climb:
    """Propose to add up to three random levels to every value, and accept what is brighter by more than one."""

    traits: ClassVar[Traits] = Traits(norms=("linf",), needs="scores", cost=(1, 0))

    steps: int = 30

    def start(self, rows):
        rows.best = torch.full_like(rows.eps, -torch.inf, dtype=torch.float64)
        rows.accepted = torch.zeros_like(rows.label)

    def propose(self, rows):
        return (rows.adversarial + rows.column(3 * LEVEL * rows.noise.uniform())).clamp(0, 1)

    def accept(self, rows, pixels, logits):
        margin = rows.goal.margin(logits)
        better = margin > rows.best + 2
        rows.best = torch.where(better, margin, rows.best)
        rows.accepted = rows.accepted + 1
        return better


@pytest.fixture(scope="session")
def levels():
    """Mean level of each picture."""
    return lambda pixels: (pixels.double().mean((1, 2, 3)) * 255).tolist()


@pytest.fixture(scope="session")
def attacks():
    """Attacks whose every visit is known, by name."""
    return {"Brighten": Brighten, "Visit": Visit, "VisitNearest": VisitNearest, "Climb": Climb}


@pytest.fixture(scope="session")
def brightness(wrap):
    return wrap(Brightness())


@pytest.fixture(scope="session")
def on_flat(brightness, run_attack):
    """Attack flat pictures of the given levels, all taken for dark."""

    def run(attack, *of, eps=50, classifier=brightness, **options):
        images = (torch.tensor(of).float() / 255).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous()
        return run_attack(
            attack, classifier, images, torch.zeros(len(of), dtype=torch.int64), None, eps * LEVEL, **options
        )

    return run
