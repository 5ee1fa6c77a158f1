"""Arithmetic that no kernel's last bit survives.

Sums, exponentials and the like are rounded differently from one batch size to the next. Done in float64 and rounded to
float32 once, they come out the same, and a row's course cannot depend on which rows stand beside it.
"""

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """Give a tensor in float64, or in float32 on the one kind of device that has no float64 (MPS)."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)
