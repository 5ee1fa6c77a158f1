"""Shapes in annotations: checked here, free for users."""

import importlib.util
import sys

import pytest
import torch
from jaxtyping import TypeCheckError

from advcli.core import shapes
from advcli.core.goals import Goal
from advcli.core.norms import BALLS


def test_the_test_run_checks_shapes():
    with pytest.raises(TypeCheckError):
        BALLS["linf"].size(torch.zeros(2, 4, 8, 8))
    with pytest.raises(TypeCheckError):
        Goal(torch.zeros(3, dtype=torch.int64), torch.zeros(3))
    with pytest.raises(TypeCheckError):
        Goal(*[torch.zeros(3, dtype=torch.int64)] * 2).ascent(torch.zeros(4))


def test_without_jaxtyping_every_shape_is_a_tensor(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxtyping", None)
    spec = importlib.util.spec_from_file_location("plain_shapes", shapes.__file__)
    plain = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plain)
    names = ("Pixels", "Logits", "Maps", "Floats", "Integers", "Flags")
    assert all(getattr(plain, name) is torch.Tensor for name in names)
