"""Random crops and flips of whole batches, the standard augmentation of CIFAR-10.

Source: He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2: pad by 4, crop at random, flip half.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

MARGIN = 4  # pixels of black on each side before the crop


def crop_and_flip(images: Tensor, generator: Generator) -> Tensor:
    """Shift each picture by up to four pixels and mirror half of them.

    Args:
        images: (N, 3, H, W), any dtype.
        generator: the only source of randomness; on the CPU.

    Returns:
        (N, 3, H, W), new pixels at the border are zero.
    """
    count, _, height, width = images.shape
    down, right = torch.randint(0, 2 * MARGIN + 1, (2, count, 1), generator=generator)
    flipped = torch.rand(count, 1, generator=generator) < 0.5
    rows = torch.arange(height) + down  # (N, H), places in the padded picture
    columns = torch.arange(width)
    columns = torch.where(flipped, columns.flip(0), columns) + right  # (N, W)
    padded = F.pad(images, (MARGIN,) * 4)
    return padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
