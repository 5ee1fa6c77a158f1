"""Blocks of rows at the same time, each on one core of the CPU (inter-op parallelism).

One block on all cores waits for the slowest of them after every operation, which costs most where other threads and
processes want a core too. With two cores: an attack on 2,000 files by FGSM, ResNet-20, takes 9.8 s side by side and
11.7 s with each block on both cores (processor time 15.5 and 19.2 s; in memory alone the two are equal); the gradients
of 48 photographs by ResNet-18 in blocks of 8 take 46.3 and 49.9 ms each, in bf16 23.0 and 27.1. The results are equal
to the bit.
"""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import fx, nn

A = TypeVar("A")
B = TypeVar("B")
_KNOWN = ("torch", "torchvision", "advcli")  # packages whose modules keep nothing from one pass to the next
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@runtime_checkable
class Each(Protocol):
    """How to go through parts of some work; results are in the order of the parts."""

    def __call__(self, work: Callable[[A], B], parts: Iterable[A]) -> list[B]:
        """Do the work."""
        ...


def lanes(network: nn.Module) -> int:
    """Count the blocks that may go through a network at the same time on the CPU: 1 or torch's number of threads.

    It is 1 for a network with modules of unknown code, which may keep values of a pass in themselves, and while hooks
    or a mode of torch watch the passes, for modes are known to one thread only.
    """
    count = torch.get_num_threads()
    modes = torch._C._len_torch_function_stack() + torch._C._len_torch_dispatch_stack()  # noqa: SLF001  no public name
    return 1 if count == 1 or modes or not _is_plain(network) else count


def one_by_one(work: Callable[[A], B], parts: Iterable[A]) -> list[B]:
    """Do the parts in this thread, in order."""
    return [work(part) for part in parts]


def side_by_side(work: Callable[[A], B], parts: Iterable[A]) -> list[B]:
    """Do the parts on as many threads as torch has, one core each; contexts of this thread are not there.

    Raises:
        Exception: what the first part raised that failed.
    """
    return list(_threads(torch.get_num_threads()).map(work, parts))


def _is_plain(network: nn.Module) -> bool:
    """Say whether all modules are of known code and none is watched; quick, for it is asked before every pass."""
    left: list[nn.Module | None] = [network]
    while left:
        module = left.pop()
        if module is None:  # a place that holds no module
            continue
        kind: Any = type(module)
        own = vars(module)
        if "forward" in own or any(map(own.get, _HOOKS)) or not _is_known(kind):
            return False
        left.extend(module._modules.values())  # noqa: SLF001  ``modules()`` takes six times as long
    return True


@cache
def _is_known(kind: Any) -> bool:
    known = kind.__module__.partition(".")[0] in _KNOWN
    return known and not issubclass(kind, fx.GraphModule | torch.jit.ScriptModule)


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread that has not asked yet would take the number that is set below
        ready.wait()

    pool = ThreadPoolExecutor(count, "advcli-lane", begin)
    for _ in range(count):
        pool.submit(int)  # a thread begins when there is something to do
    ready.wait()
    torch.set_num_threads(count)  # threads that begin later take what was set last, in whichever thread
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not live on in a forked process
