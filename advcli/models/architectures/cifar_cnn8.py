"""The plain eight-convolution network for CIFAR-10 that is compared with and without spectral normalization.

Source: the notebook behind the project's fourth source document, as its code wrote the network (not its table).
"""

from torch import Tensor, nn

CONVOLUTIONS = (64, 128, 256, 512, 512, 512, 512, 512)
POOLED = 4  # the first four convolutions are followed by 2 x 2 max pooling: 32 -> 2
LINEAR = ((4096, 0.4), (2048, 0.4), (1024, 0.3), (512, 0.2), (256, 0.2))  # width, dropout


class CifarCnn8(nn.Module):
    """Eight 3 x 3 convolutions and six linear layers, each but the last with batch norm and ReLU.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(*_convolutions())
        self.classifier = nn.Sequential(*_linears(classes))

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized pixels (N, 3, 32, 32) to logits (N, classes)."""
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]


def _convolutions() -> list[nn.Module]:
    layers: list[nn.Module] = []
    incoming = 3
    for place, outgoing in enumerate(CONVOLUTIONS):
        layers += [nn.Conv2d(incoming, outgoing, 3, padding=1), nn.BatchNorm2d(outgoing), nn.ReLU(inplace=True)]
        if place < POOLED:
            layers.append(nn.MaxPool2d(2))
        incoming = outgoing
    return layers


def _linears(classes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    incoming = CONVOLUTIONS[-1] * 2 * 2
    for width, dropout in LINEAR:
        layers += [nn.Linear(incoming, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        incoming = width
    return [*layers, nn.Linear(incoming, classes)]
