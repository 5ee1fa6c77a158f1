"""Several processes: the same loss curve as one, and the same gradients."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from advcli.errors import UsageError
from advcli.training.loop import Normalized, Plan, fit
from advcli.training.recipes import Recipe
from advcli.training.together import Group, asked_for, own_device


def test_one_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not asked_for()
    assert Group().total(1.5, 2.0) == (1.5, 2.0)
    assert Group().told("x") == "x"
    assert own_device("auto", Group()) == "auto"


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    import torch
    from torch import nn

    from advcli.training.examples import Examples, Parts

    images = Examples(torch.zeros(8, 3, 4, 4, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64))
    network = Normalized(nn.Flatten(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    plan = Plan(Recipe(batch_size=7), 0, torch.device("cpu"), tmp_path / "c.pt", group=Group(0, 2))
    with pytest.raises(UsageError, match="a batch of 7 cannot be shared by 2"):
        next(fit(network, Parts(images), plan))


def losses(folder):
    with (folder / "tables" / "history.csv").open(newline="") as file:
        return [[float(row[name]) for name in ("loss", "validation_loss")] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 100, (64, 32, 32, 3), dtype=np.uint8), np.arange(64) % 2
    images[labels == 0, :16] += 120
    images[labels == 1, 16:] += 120
    np.savez(tmp_path / "data.npz", images=images, labels=labels)
    words = ["train", "--data", tmp_path / "data.npz", "--val", "0.25", "--epochs", "2", "--batch-size", "16"]
    words += ["--rate", "0.0005", "--precision", "fp32", "--device", "cpu"]
    # What torchrun does on one machine, without its own process.
    port = str(20_000 + os.getpid() % 20_000)
    calls = {"one": [{}], "two": []}
    for rank in ("0", "1"):
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
        calls["two"].append({**where, "RANK": rank, "LOCAL_RANK": rank})
    for name, environments in calls.items():
        line = [sys.executable, "-m", "advcli", *map(str, words), "--out", str(tmp_path / name)]
        running = [
            subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1", **one}, stdout=-3, stderr=subprocess.PIPE)
            for one in environments
        ]
        try:
            told = [one.communicate(timeout=400)[1].decode() for one in running]
        finally:
            for one in running:
                one.kill()
        assert [one.returncode for one in running] == [0] * len(running), told
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert np.allclose(one, two, rtol=2e-3)
    assert not Path(tmp_path / "two" / "model.safetensors.part").exists()
