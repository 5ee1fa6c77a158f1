"""The CIFAR-10 residual networks with 6n + 2 layers and shortcuts that have no weights.

Source: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2 (option A).
"""

import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        incoming: channels of the input.
        outgoing: channels of the output; more than ``incoming`` where the block halves the picture.
        stride: 2 halves the picture, 1 keeps it.
    """

    def __init__(self, incoming: int, outgoing: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(incoming, outgoing, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outgoing)
        self.conv2 = nn.Conv2d(outgoing, outgoing, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outgoing)
        self.stride = stride
        self.padding = outgoing - incoming

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, incoming, H, W) to (N, outgoing, H / stride, W / stride)."""
        # In place, because nothing else reads these tensors, and fresh memory takes as long as the arithmetic.
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.padding:
            # Option A: every second pixel, and zeros for the channels that are new, half on either side.
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding // 2, self.padding // 2))
        out += x
        return F.relu(out, inplace=True)


class CifarResNet(nn.Module):
    """A residual network for 32 x 32 pictures.

    Args:
        depth: number of layers, 6n + 2: 20, 32, 44 or 56 in the paper.
        classes: number of logits.
    """

    def __init__(self, depth: int = 20, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        blocks = (depth - 2) // 6
        self.layer1 = _stage(CHANNELS[0], CHANNELS[0], blocks, stride=1)
        self.layer2 = _stage(CHANNELS[0], CHANNELS[1], blocks, stride=2)
        self.layer3 = _stage(CHANNELS[1], CHANNELS[2], blocks, stride=2)
        self.linear = nn.Linear(CHANNELS[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized pixels (N, 3, 32, 32) to logits (N, classes)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))  # type: ignore[no-any-return]


def _stage(incoming: int, outgoing: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(incoming, outgoing, stride)
    return nn.Sequential(first, *(BasicBlock(outgoing, outgoing, 1) for _ in range(blocks - 1)))
