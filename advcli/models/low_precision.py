"""Networks in bf16."""

import copy

import torch
from torch import Tensor, nn


def in_bf16(network: nn.Module, probe: Tensor) -> nn.Module | None:
    """Copy a network in bf16; none where its code does not work in that precision."""
    try:
        low = copy.deepcopy(network).to(torch.bfloat16)
        with torch.no_grad():
            logits = low(probe.to(torch.bfloat16).contiguous(memory_format=torch.channels_last))
    except Exception:  # noqa: BLE001  the network's own code may fail in any way, and autocast remains
        return None
    return low if torch.isfinite(logits).all() else None
