"""Files are whole or absent, pictures keep every bit, and nothing is written outside the run's folder."""

import io
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from advcli.errors import ContractError, UsageError
from advcli.images.writing import png_bytes, to_bytes, write_atomically


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_folders_are_made_and_files_replaced(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "x.png", b"one")
    write_atomically(tmp_path / "a" / "b" / "x.png", b"two")
    assert (tmp_path / "a" / "b" / "x.png").read_bytes() == b"two"
    assert everything(tmp_path) == ["a", "a/b", "a/b/x.png"]


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", [(os, "fstat"), (Path, "replace")])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_half_one(failing, failure, tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"old")

    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(*failing, fail)
        with pytest.raises(UsageError if isinstance(failure, OSError) else KeyboardInterrupt):
            write_atomically(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert everything(tmp_path) == ["x"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^cannot write .*file/x\.png: Not a directory$|File exists$") as caught:
        write_atomically(tmp_path / "file" / "x.png", b"")
    assert "--out" in caught.value.hint
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        write_atomically(tmp_path / "folder", b"")
    assert everything(tmp_path) == ["file", "folder"]


def test_the_longest_name_of_a_file_can_be_written(tmp_path):
    write_atomically(tmp_path / ("x" * 255), b"")
    assert everything(tmp_path) == ["x" * 255]


SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))
)


@given(arrays.arrays(np.uint8, SHAPES))
def test_a_picture_read_back_is_the_same_to_the_last_bit(pixels):
    with Image.open(io.BytesIO(png_bytes(pixels))) as picture:
        assert picture.format == "PNG"
        assert picture.mode == ("L" if pixels.ndim == 2 else "RGB")
        assert np.array_equal(np.asarray(picture), pixels)


def test_pixels_need_not_be_contiguous():
    pixels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5).transpose(1, 2, 0)
    with Image.open(io.BytesIO(png_bytes(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 2, 4), (2,), (0, 4), (4, 0, 3)])
def test_other_types_and_shapes_are_our_own_mistake(shape):
    with pytest.raises(ContractError, match=r"a picture is uint8 \(H, W, 3\) or \(H, W\), not "):
        png_bytes(np.zeros(shape, np.uint8))
    with pytest.raises(ContractError, match="float64"):
        png_bytes(np.zeros((2, 2, 3)))


@pytest.mark.parametrize("factor", [1, 7])
def test_photographs_and_enlarged_pictures_are_both_small(factor):
    down, across = np.mgrid[0:32, 0:32].astype(np.uint8) * 8
    small = np.stack([down, across, np.zeros_like(down)], axis=2)
    pixels = small.repeat(factor, axis=0).repeat(factor, axis=1)
    data = png_bytes(pixels)
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(np.asarray(picture), pixels)
    assert len(data) < pixels.size / 5


def test_pixels_become_the_nearest_of_eight_bits():
    levels = torch.arange(256) / 255
    pixels = torch.stack([levels, levels + 0.4 / 255, levels - 0.4 / 255])[:, None]
    bytes_ = to_bytes(pixels)
    assert bytes_.shape == (1, 256, 3)
    assert (bytes_ == np.arange(256)[None, :, None]).all()
