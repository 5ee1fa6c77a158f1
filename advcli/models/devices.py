"""Where to compute, and how to make a device repeat itself to the bit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from advcli.errors import ModelError, UsageError


def pick_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device; auto takes CUDA, then MPS, then the CPU.

    Raises:
        UsageError: no such kind of device.
        ModelError: this machine does not have it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name!r} is not a device", "use auto, cpu, cuda, cuda:N or mps") from None
    missing = {
        "cuda": not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count(),
        "mps": not torch.backends.mps.is_available(),
    }
    if device.type not in ("cpu", *missing):
        raise UsageError(f"--device {name!r} is not supported", "use auto, cpu, cuda, cuda:N or mps")
    if missing.get(device.type, False):
        raise ModelError(f"this machine has no {device}", "use --device auto or --device cpu")
    return device


@contextmanager
def repeatable() -> Iterator[None]:
    """Make CUDA choose the same full-precision kernels each time, and put the process's settings back afterwards."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32)
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, False, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
