"""Weights with known spectra, and one process that analyzes for all tests."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from advcli.spectra.pool import Pool, Request, environment
from advcli.spectra.store import load

DIRECT = """
import sys, warnings
import torch
warnings.simplefilter("ignore")
import weightwatcher
rows = weightwatcher.WeightWatcher(model=dict(torch.load(sys.argv[1], weights_only=True))).analyze()

import pickle
pickle.dump(rows.to_dict("records"), open(sys.argv[2], "wb"))
"""


class Net(nn.Module):
    """Every kind of layer that is read or left out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.grouped = nn.Conv2d(16, 32, 3, groups=4)
        self.depthwise = nn.Conv2d(32, 32, 3, groups=32)
        self.pointwise = nn.Conv2d(32, 64, 1)
        self.line = nn.Conv1d(4, 4, 3)
        self.hidden = nn.Linear(64, 60)
        self.tied = nn.Linear(64, 60)
        self.small = nn.Linear(60, 4)
        self.tied.weight = self.hidden.weight


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(3)
    return Net()


@pytest.fixture(scope="session")
def pool():
    with Pool(1) as pool:
        yield pool


@pytest.fixture(scope="session")
def analyze(pool, tmp_path_factory):
    """Analyze a state dict in the process of the session."""

    def call(state, **options):
        folder = tmp_path_factory.mktemp("analysis")
        torch.save(dict(state), folder / "weights.pt")
        answer = pool.ask(Request(str(folder / "weights.pt"), str(folder), **options))
        assert answer.error is None, answer.error
        return load(answer.stored)

    return call


@pytest.fixture(scope="session")
def directly(tmp_path_factory):
    """Call weightwatcher itself on a state dict, as its authors say, in a fresh process."""

    def call(state):
        import pickle

        folder = tmp_path_factory.mktemp("direct")
        torch.save(dict(state), folder / "weights.pt")
        subprocess.run(
            [sys.executable, "-c", DIRECT, str(folder / "weights.pt"), str(folder / "rows.pkl")],
            env=environment(os.environ),
            check=True,
            capture_output=True,
            cwd=folder,
        )
        return pickle.loads((folder / "rows.pkl").read_bytes())

    return call


@pytest.fixture
def random():
    return np.random.default_rng(0)
