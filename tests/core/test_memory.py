"""Free memory goes back to the system."""

import platform
from pathlib import Path

import pytest

from advcli.core.memory import give_back


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can give memory back")
def test_holes_between_what_lives_on_are_given_back():
    import torch

    blocks = [torch.ones(20_000) for _ in range(1500)]  # 80 KB each: from the heap, not from mappings of their own
    blocks = blocks[::10]  # the rest is free, and cannot be given back from the heap's end
    before = resident()
    assert give_back()
    assert before - resident() > 50e6
    assert all(block[0] == 1 for block in blocks)


def test_nothing_happens_where_there_is_no_way(monkeypatch):
    from advcli.core import memory

    monkeypatch.setattr(memory, "_trim", lambda: None)
    assert not give_back()
