"""What code of a network's own may change for the whole process: default dtype, gradients, working directory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


@contextmanager
def put_back() -> Iterator[list[str]]:
    """Put back what changed for the whole process inside the context.

    Yields:
        An empty list; when the context ends, it names what had changed, such as ``the default dtype``.
    """
    folder, dtype, gradients = Path.cwd(), torch.get_default_dtype(), torch.is_grad_enabled()
    changed: list[str] = []
    try:
        yield changed
    finally:
        if torch.get_default_dtype() != dtype:
            changed.append("the default dtype")
            torch.set_default_dtype(dtype)
        if torch.is_grad_enabled() != gradients:
            changed.append("whether gradients are computed")
            torch.set_grad_enabled(gradients)
        if _folder() != folder:
            changed.append("the working directory")
            os.chdir(folder)


def _folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return None
