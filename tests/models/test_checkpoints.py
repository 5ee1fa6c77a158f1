"""Weights come out of files as they went in, and code in files does not run."""

import argparse
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Card, Preprocessing
from advcli.models.loading.checkpoints import read_header, read_model, read_state_dict, write_model

GIVEN = Path(__file__).parents[2].parent / "shared" / "models" / "resnet20-12fca82f.th"
WEIGHTS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.tensor([1.0, -2.0, 0.5])}
CARD = Card(
    name="mine",
    architecture="cifar-resnet20",
    source="train",
    classes=("Flugzeug", "Hündin", *map(str, range(8))),
    preprocessing=Preprocessing((32, 32), 36, "bicubic", mean=(0.1, 0.2, 1 / 3), std=(0.25, 0.5, 1.0)),
)


class Payload:
    """Makes a folder when it is unpickled by who does not mind."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class OwnNetwork(nn.Linear):
    """A class that only this file knows."""


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net", "network", "ema", "model_ema"])
def test_a_state_dict_is_taken_out_of_its_checkpoint(tmp_path, wrapper, legacy):
    checkpoint = {"epoch": 3, wrapper: WEIGHTS, "optimizer": {"lr": 0.1}}
    torch.save(checkpoint, tmp_path / "last.pt", _use_new_zipfile_serialization=not legacy)
    assert_same(read_state_dict(tmp_path / "last.pt"), WEIGHTS)


def test_plain_weights_go_before_averaged_ones(tmp_path):
    averaged = {name: value + 1 for name, value in WEIGHTS.items()}
    torch.save({"ema": averaged, "model": {"state_dict": WEIGHTS}}, tmp_path / "last.pt")
    assert_same(read_state_dict(tmp_path / "last.pt"), WEIGHTS)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."]
)
def test_prefixes_of_parallel_and_compiled_networks_go(tmp_path, prefix):
    torch.save({prefix + name: value for name, value in WEIGHTS.items()}, tmp_path / "last.pt")
    assert_same(read_state_dict(tmp_path / "last.pt"), WEIGHTS)


def test_the_prefix_of_a_compiled_part_goes(tmp_path):
    torch.save({"layer1._orig_mod.weight": WEIGHTS["conv.weight"]}, tmp_path / "last.pt")
    assert list(read_state_dict(tmp_path / "last.pt")) == ["layer1.weight"]


def test_an_averaged_model_of_torch_is_read_without_its_counter(tmp_path):
    network = nn.Linear(2, 2)
    torch.save(torch.optim.swa_utils.AveragedModel(network).state_dict(), tmp_path / "averaged.pt")
    assert_same(read_state_dict(tmp_path / "averaged.pt"), network.state_dict())


def test_a_part_that_is_called_module_keeps_its_name(tmp_path):
    state = {"module.weight": torch.ones(2), "head.weight": torch.ones(3)}
    torch.save(state, tmp_path / "last.pt")
    assert_same(read_state_dict(tmp_path / "last.pt"), state)


@pytest.mark.skipif(not GIVEN.exists(), reason="the given checkpoint is not beside this checkout")
def test_the_given_checkpoint_has_the_names_of_our_resnet20():
    state = read_state_dict(GIVEN)
    names = {name for name in ARCHITECTURES["cifar-resnet20"].build(10).state_dict() if "num_batches" not in name}
    assert {name for name in state if "num_batches" not in name} == names
    assert state["linear.weight"].shape == (10, 64)


def test_an_extension_is_not_believed(tmp_path):
    torch.save(WEIGHTS, tmp_path / "weights.safetensors")
    assert_same(read_state_dict(tmp_path / "weights.safetensors"), WEIGHTS)
    save_file(WEIGHTS, tmp_path / "weights.pt")
    assert_same(dict(sorted(read_state_dict(tmp_path / "weights.pt").items())), dict(sorted(WEIGHTS.items())))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_payload_does_not_run_and_is_named(tmp_path, legacy):
    marker = tmp_path / "marker"
    torch.save({"state_dict": Payload(marker)}, tmp_path / "bad.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"names \w+\.mkdir, .*can run code") as caught:
        read_state_dict(tmp_path / "bad.pt")
    assert "--trust-model" in caught.value.hint
    assert not marker.exists()


def test_a_payload_runs_for_who_trusts_it(tmp_path):
    """The other half of the test above: its payload is a live one."""
    marker = tmp_path / "marker"
    torch.save({"state_dict": WEIGHTS, "extra": Payload(marker)}, tmp_path / "bad.pt")
    assert_same(read_state_dict(tmp_path / "bad.pt", trust=True), WEIGHTS)
    assert marker.exists()


def test_foreign_classes_in_a_checkpoint_are_named(tmp_path):
    torch.save({"state_dict": WEIGHTS, "args": argparse.Namespace(lr=0.1)}, tmp_path / "last.pt")
    with pytest.raises(ModelError, match=r"more than weights: it names argparse\.Namespace"):
        read_state_dict(tmp_path / "last.pt")
    assert_same(read_state_dict(tmp_path / "last.pt", trust=True), WEIGHTS)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_network_is_refused_and_its_class_named(tmp_path, legacy):
    torch.save(OwnNetwork(2, 2), tmp_path / "whole.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"test_checkpoints.OwnNetwork") as caught:
        read_state_dict(tmp_path / "whole.pt")
    assert "network.state_dict()" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"epoch": 3, "lr": 0.1}, "a dictionary with the keys epoch, lr"),
        ({}, "an empty dictionary"),
        ([torch.zeros(2)], "a list"),
        (torch.zeros(2), "a Tensor"),
    ],
)
def test_a_checkpoint_without_weights_says_what_it_holds(tmp_path, content, reason):
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(ModelError, match=reason):
        read_state_dict(tmp_path / "last.pt")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.99])
def test_a_truncated_checkpoint_from_before_archives_is_refused(tmp_path, share):
    path = tmp_path / "old.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError, match=r"old.pt (is truncated|cannot be read safely)"):
        read_state_dict(path)


def test_a_newer_pickle_protocol_is_refused_in_one_line_without_a_warning(tmp_path):
    torch.save(WEIGHTS, tmp_path / "new.pt", pickle_protocol=4)
    with pytest.raises(ModelError, match="cannot be read safely: Unsupported operand"):
        read_state_dict(tmp_path / "new.pt")
    assert_same(read_state_dict(tmp_path / "new.pt", trust=True), WEIGHTS)


def test_a_written_model_is_read_back_to_the_bit(tmp_path):
    network = ARCHITECTURES["cifar-resnet20"].build(10)
    network.bn1.num_batches_tracked += 7
    write_model(tmp_path / "mine.safetensors", network, CARD)
    state, header = read_model(tmp_path / "mine.safetensors")
    expected = network.state_dict()
    assert_same(dict(sorted(state.items())), dict(sorted(expected.items())))
    assert state["bn1.num_batches_tracked"].item() == 7
    assert header.architecture == "cifar-resnet20"
    assert header.classes == CARD.classes
    assert header.preprocessing == CARD.preprocessing
    assert read_header(tmp_path / "mine.safetensors") == header
    assert_same(dict(sorted(read_state_dict(tmp_path / "mine.safetensors").items())), dict(sorted(expected.items())))


def test_a_written_resnet20_fits_in_1_2_megabytes_and_leaves_nothing_beside_it(tmp_path):
    write_model(tmp_path / "mine.safetensors", ARCHITECTURES["cifar-resnet20"].build(10), CARD)
    assert (tmp_path / "mine.safetensors").stat().st_size <= 1.2e6
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"]


def test_the_header_can_be_read_by_other_programs(tmp_path):
    write_model(tmp_path / "mine.safetensors", nn.Linear(2, 2), CARD)
    with safe_open(tmp_path / "mine.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert set(metadata) == {
        "format_version", "architecture", "classes", "mean", "std", "size", "resize", "interpolation"
    }  # fmt: skip
    assert json.loads(metadata["classes"])[1] == "Hündin"
    assert json.loads(metadata["mean"]) == [0.1, 0.2, 1 / 3]
    assert json.loads(metadata["size"]) == [32, 32]


def test_tensors_that_share_memory_are_written(tmp_path):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    write_model(tmp_path / "tied.safetensors", network, CARD)
    assert_same(read_model(tmp_path / "tied.safetensors")[0], dict(sorted(network.state_dict().items())))


def test_a_file_that_cannot_be_written_leaves_the_old_one_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    write_model(path, nn.Linear(2, 2), CARD)
    before = path.read_bytes()

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match=r"cannot write .*: No space left on device"):
        write_model(path, nn.Linear(2, 2), CARD)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.safetensors"]


def test_a_file_of_somebody_else_has_no_header(tmp_path):
    save_file(WEIGHTS, tmp_path / "theirs.safetensors", {"format": "pt"})
    state, header = read_model(tmp_path / "theirs.safetensors")
    assert header is None
    assert torch.equal(state["conv.bias"], WEIGHTS["conv.bias"])


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format_version", "2", "format version 2"),
        ("mean", "[0.1]", "header of .* is damaged"),
        ("std", "[0.1, 0.2, NaN]", "header of .* is damaged"),
        ("size", "32", "header of .* is damaged"),
        ("classes", "[", "header of .* is damaged"),
        ("interpolation", "lanczos", "header of .* is damaged"),
    ],
)
def test_a_header_that_cannot_be_understood_is_refused(tmp_path, key, value, reason):
    path = tmp_path / "mine.safetensors"
    write_model(path, nn.Linear(2, 2), CARD)
    with safe_open(path, framework="pt") as file:
        metadata = {**file.metadata(), key: value}
    save_file(WEIGHTS, path, metadata)
    with pytest.raises(ModelError, match=reason):
        read_model(path)


def test_truncated_safetensors_are_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    write_model(path, nn.Linear(200, 200), CARD)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="truncated or damaged"):
        read_state_dict(path)
