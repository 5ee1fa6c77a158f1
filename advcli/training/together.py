"""Several processes that train one network under ``torchrun``: each takes its rows of every batch.

Gradients are averaged over the processes after every backward pass, in one message. DistributedDataParallel does the
same while the backward pass is under way, but allows no other gradients beside it, which inner attacks and penalties
on gradients need. Batch norms take their statistics from all rows of the batch, also on a CPU, so that the number of
processes changes nothing but the order of sums.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from advcli.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a training.

    Args:
        rank: of this process; 0 writes the run.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    def rows(self, values: Tensor) -> Tensor:
        """Take this process's share of the rows of a batch, whose number is a multiple of ``size``."""
        return values if self.size == 1 else values.chunk(self.size)[self.rank]

    def share(self, values: Tensor) -> Tensor:
        """Take every ``size``-th row, from ``rank`` on: what this process measures of a set."""
        return values if self.size == 1 else values[self.rank :: self.size]

    def total(self, *numbers: float) -> tuple[float, ...]:
        """Add up numbers over all processes."""
        if self.size == 1:
            return numbers
        summed = torch.tensor(numbers, dtype=torch.float64, device=_device())
        dist.all_reduce(summed)
        return tuple(summed.tolist())

    def average(self, network: nn.Module) -> None:
        """Average the gradients of a network over all processes, in place."""
        gradients = [one.grad for one in network.parameters() if one.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([one.flatten() for one in gradients])
        dist.all_reduce(flat)
        means = torch.split(flat / self.size, [one.numel() for one in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def told(self, value: T) -> T:
        """Give every process what process 0 has."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        return cast("T", box[0])


def asked_for() -> bool:
    """Say whether ``torchrun`` started several processes."""
    return _number("WORLD_SIZE", 1) > 1


@contextmanager
def together() -> Iterator[Group]:
    """Meet the other processes that ``torchrun`` started; alone without it.

    Raises:
        UsageError: they cannot be reached.
    """
    if not asked_for():
        yield Group()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(_number("LOCAL_RANK", 0))
    try:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the other processes cannot be reached: {str(error).splitlines()[0]}", "start advcli with torchrun"
        ) from error
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def own_device(name: str, group: Group) -> str:
    """Give each process of a machine a GPU of its own, where the device is ``cuda`` or chosen automatically."""
    if group.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{_number('LOCAL_RANK', 0)}"
    return name


def synchronize(network: nn.Module, group: Group) -> None:
    """Let batch norms take their statistics from the rows of all processes, in place; names and weights stay."""
    if group.size == 1:
        return
    for module in network.modules():
        if type(module) in _SYNCHRONIZED:
            module.__class__ = _SYNCHRONIZED[type(module)]


class _Synchronized(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001  the public ones have no common class
    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.track_running_stats:
            return super().forward(x)
        wide, others = x.float(), [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() // x.shape[1] * dist.get_world_size()
        shape = (1, -1, *([1] * (x.ndim - 2)))
        mean = _summed(wide.sum(others)) / count
        centered = wide - mean.view(shape)
        variance = _summed(centered.square().sum(others)) / count
        self._learn(mean.detach(), variance.detach() * count / max(count - 1, 1))
        scaled = centered * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        result: Tensor = scaled.to(x.dtype)
        return result

    def _learn(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as PyTorch does."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Synchronized1d(_Synchronized, nn.BatchNorm1d):
    pass


class _Synchronized2d(_Synchronized, nn.BatchNorm2d):
    pass


_SYNCHRONIZED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synchronized1d,
    nn.BatchNorm2d: _Synchronized2d,
}


class _Summed(torch.autograd.Function):
    """Adds up over all processes; gradients, which are sums over all processes too, flow back to all, to any order."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004  PyTorch's own signature
        summed = values.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return _summed(gradients[0].contiguous())


def _summed(values: Tensor) -> Tensor:
    summed: Tensor = _Summed.apply(values)
    return summed


def _device() -> torch.device:
    return torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else otherwise
