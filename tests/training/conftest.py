"""Small data that a network learns in seconds."""

import numpy as np
import pytest
from PIL import Image


def write_pictures(folder, parts):
    """Write two classes that a glance tells apart: bright above, bright below."""
    rng = np.random.default_rng(0)
    for part, count in parts.items():
        for name, rows in (("above", slice(0, 16)), ("below", slice(16, 32))):
            (folder / part / name).mkdir(parents=True)
            for place in range(count):
                pixels = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
                pixels[rows] += 120
                Image.fromarray(pixels).save(folder / part / name / f"{place:03}.png")
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """48 training and 16 test pictures of each class."""
    return write_pictures(tmp_path_factory.mktemp("data"), {"train": 48, "test": 16})


@pytest.fixture
def small(tmp_path):
    """Eight training pictures of each class, to be spoiled."""
    return write_pictures(tmp_path / "data", {"train": 8})
