"""A file's kind is told by its contents."""

import json
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from advcli.errors import ModelError
from advcli.models.loading.file_format import file_format

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}
GIVEN = Path(__file__).parents[2].parent / "shared" / "models" / "resnet20-12fca82f.th"


def small_network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.txt"])
def test_a_state_dict_is_a_checkpoint_under_any_extension(tmp_path, name):
    torch.save(STATE, tmp_path / name)
    assert file_format(tmp_path / name) == "checkpoint"


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_checkpoint_from_before_zip_archives_is_recognized(tmp_path, protocol):
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False, pickle_protocol=protocol)
    assert file_format(tmp_path / "old.pt") == "checkpoint"


@pytest.mark.skipif(not GIVEN.exists(), reason="the given checkpoint is not beside this checkout")
def test_the_given_checkpoint_is_a_checkpoint():
    assert file_format(GIVEN) == "checkpoint"


def test_safetensors_are_recognized_under_another_extension(tmp_path):
    from safetensors.torch import save_file

    save_file(STATE, tmp_path / "weights.pt")
    assert file_format(tmp_path / "weights.pt") == "safetensors"


def test_torchscript_is_told_from_a_checkpoint(tmp_path):
    with warnings.catch_warnings():
        # torch announces the end of TorchScript at every call; such files exist all the same.
        warnings.filterwarnings("ignore", ".*torch.jit.* is deprecated", FutureWarning)
        torch.jit.save(torch.jit.script(small_network()), tmp_path / "network.pt")
    assert file_format(tmp_path / "network.pt") == "torchscript"


def test_an_exported_program_is_told_from_a_checkpoint(tmp_path):
    torch.export.save(torch.export.export(small_network(), (torch.zeros(2, 3, 8, 8),)), tmp_path / "network.pt2")
    assert file_format(tmp_path / "network.pt2") == "exported"


def test_an_exported_program_of_older_torch_is_recognized(tmp_path):
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", b"")
    assert file_format(tmp_path / "old.pt2") == "exported"


def test_an_archive_that_could_be_two_kinds_is_taken_for_the_one_that_runs_code(tmp_path):
    torch.save(STATE, tmp_path / "both.pt")
    with zipfile.ZipFile(tmp_path / "both.pt", "a") as archive:
        archive.writestr("both/code/__torch__.py", "")
    assert file_format(tmp_path / "both.pt") == "torchscript"


def test_a_pickle_not_by_torch_is_a_pickle(tmp_path):
    (tmp_path / "network.pt").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    assert file_format(tmp_path / "network.pt") == "pickle"


def damaged_files():
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return {
        "empty": (b"", "is empty"),
        "one byte": (b"\x80", "is not a model file"),
        "random bytes": (bytes(range(7, 207)), "is not a model file"),
        "start of an archive": (b"PK\x03\x04" + bytes(60), "truncated or damaged"),
        "start of safetensors": (len(header).to_bytes(8, "little") + header[:20], "is truncated"),
        "web page": (b"<!DOCTYPE html><html>not found</html>", "a web page"),
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
        "json": (b'{"classes": []}' * 9, "is not a model file"),
    }


@pytest.mark.parametrize("case", damaged_files())
def test_what_is_no_model_is_refused_with_the_reason_and_a_hint(tmp_path, case):
    data, reason = damaged_files()[case]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=reason) as caught:
        file_format(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, share):
    path = tmp_path / "model.pt"
    torch.save(STATE, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError, match="truncated or damaged"):
        file_format(path)


def test_an_archive_that_is_not_torchs_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("cat.png", b"")
    with pytest.raises(ModelError, match="not one of torch's"):
        file_format(tmp_path / "pictures.zip")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"there is no file .*nowhere\.pt"):
        file_format(tmp_path / "nowhere.pt")
    with pytest.raises(ModelError, match="is a folder"):
        file_format(tmp_path)
