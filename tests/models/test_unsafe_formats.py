"""Files that can run code are refused, and work for who trusts them."""

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.card import Preprocessing


class Tiny(nn.Module):
    """Mean of each channel, dropout, three logits."""

    def __init__(self, classes=3):
        super().__init__()
        self.dropout = nn.Dropout()
        self.head = nn.Linear(3, classes)

    def forward(self, x):
        return self.head(self.dropout(x.mean((2, 3))))


def torchscript(path):
    with warnings.catch_warnings():
        # torch announces the end of TorchScript at every call; such files exist all the same.
        warnings.filterwarnings("ignore", ".*torch.jit.* is deprecated", FutureWarning)
        torch.jit.save(torch.jit.script(Tiny().eval()), path)


def exported(path):
    rows = torch.export.Dim("rows")
    program = torch.export.export(Tiny().eval(), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=({0: rows},))
    torch.export.save(program, path)


def whole(path):
    torch.save(Tiny(), path)


def checkpoint_with_a_whole_network(path):
    torch.save({"epoch": 3, "model": Tiny()}, path)


def plain_pickle(path):
    path.write_bytes(pickle.dumps(Tiny()))


RUNNABLE = [torchscript, exported, whole, checkpoint_with_a_whole_network, plain_pickle]


@pytest.mark.parametrize("write", RUNNABLE)
def test_what_can_run_code_is_refused_unless_trusted(tmp_path, write, refused):
    torch.manual_seed(1)
    path = tmp_path / "net.safetensors"  # the extension does not matter
    write(path)
    error = refused(ModelError, path, size=8)
    assert "can run code" in error.message
    assert "--trust-model" in error.hint


@pytest.mark.parametrize("write", RUNNABLE)
def test_what_is_trusted_computes_what_it_was_saved_for(tmp_path, write, load):
    torch.manual_seed(1)
    write(tmp_path / "net")
    torch.manual_seed(1)
    expected = Tiny().eval()
    network, card = load(tmp_path / "net", size=8, trust=True)
    assert not network.eval().training
    pixels = torch.rand(5, 3, 8, 8, requires_grad=True)
    torch.testing.assert_close(network(pixels), expected(pixels), rtol=0, atol=0)
    assert torch.autograd.grad(network(pixels).sum(), pixels)[0].abs().sum() > 0
    assert card.preprocessing == Preprocessing((8, 8), 8)
    assert (card.classes, card.classes_known, card.architecture) == (("0", "1", "2"), False, "custom")


def test_a_trusted_network_needs_its_size_and_takes_no_architecture(tmp_path, refused):
    whole(tmp_path / "net.pt")
    assert "--size 224" in refused(ModelError, tmp_path / "net.pt", trust=True).hint
    refused(UsageError, tmp_path / "net.pt", trust=True, size=8, arch="cifar-resnet20")


def test_a_size_that_an_exported_program_does_not_take_is_a_model_error(tmp_path, refused):
    exported(tmp_path / "net.pt2")
    error = refused(ModelError, tmp_path / "net.pt2", trust=True, size=9)
    assert "fails on pictures of 9 x 9" in error.message


class Payload:
    """Makes a folder when it is unpickled by who does not mind."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.mkdir, (self.marker,)


@pytest.mark.parametrize("container", ["archive", "legacy", "pickle"])
def test_a_payload_does_not_run_and_its_file_is_refused(tmp_path, container, refused):
    marker, path = tmp_path / "marker", tmp_path / "net.pt"
    if container == "pickle":
        path.write_bytes(pickle.dumps(Payload(marker)))
    else:
        torch.save(Payload(marker), path, _use_new_zipfile_serialization=container == "archive")
    refused(ModelError, path, arch="cifar-resnet20")
    refused(ModelError, path)
    assert not marker.exists()


def test_a_pickled_network_whose_code_is_elsewhere_says_so(tmp_path, refused):
    code = "import torch\nclass Gone(torch.nn.Linear): pass\ntorch.save(Gone(2, 2), 'net.pt')\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    error = refused(ModelError, tmp_path / "net.pt", trust=True, size=8)
    assert "needs code that is not here" in error.message
    assert "Gone" in error.message
