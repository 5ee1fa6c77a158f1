"""A network of one's own: advcli attack photos/ --model examples/own_network.py:build --size 64 --weights mine.pt."""

from torch import nn


def build() -> nn.Module:
    """A small classifier of ten classes; pixels in [0, 1] come in, normalized by --mean and --std."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
