"""Make what comes next in a thread while the caller works on what is there."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(todo: Iterator[T], make: Callable[[T], R], most: int = 2) -> Iterator[tuple[T, R]]:
    """Give each thing with what is made of it, in order.

    Args:
        todo: things, taken lazily.
        make: runs in one thread, of one thing after the other.
        most: results that may wait.

    Raises:
        Exception: what ``make`` raised, in its place.
    """
    pool = ThreadPoolExecutor(1, "ahead")
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for one in todo:
            waiting.append((one, pool.submit(make, one)))
            if len(waiting) > most:
                first, made = waiting.popleft()
                yield first, made.result()
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
