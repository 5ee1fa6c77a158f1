"""Networks that a user's own code builds."""

import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from advcli.errors import ModelError, UsageError

NET = """
import torch
from parts import CLASSES

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, CLASSES)
    def forward(self, x):
        return self.head(x.mean((2, 3)))

def make():
    return Net()

ready = Net()
number = 3

def fails():
    raise LookupError("no weights today")

def leaves():
    raise SystemExit(2)

def gives_a_pair():
    class Pair(Net):
        def forward(self, x):
            return super().forward(x), x
    return Pair()
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "parts.py").write_text("CLASSES = 4\n")
    (tmp_path / "net.py").write_text(NET)
    return tmp_path / "net.py"


@pytest.mark.parametrize("attribute", ["make", "Net", "ready"])
def test_own_code_gives_a_network_and_its_digest(net, attribute, load):
    path_before = list(sys.path)
    network, card = load(f"{net}:{attribute}", size=8)
    digest = sha256(net.read_bytes()).hexdigest()
    assert type(network).__name__ == "Net"
    assert not network.training
    assert len(card.classes) == 4
    assert card.architecture == "custom"
    assert card.source == f"{net}:{attribute} sha256:{digest}"
    assert card.notes[0] == f"own code from {net}, SHA-256 {digest}"
    assert sys.path == path_before


def test_own_code_takes_a_state_dict(net, tmp_path, load):
    state = {"head.weight": torch.arange(12.0).reshape(4, 3), "head.bias": torch.ones(4)}
    torch.save({"model": state}, tmp_path / "weights.pt")
    network, card = load(f"{net}:make", size=8, weights=str(tmp_path / "weights.pt"))
    assert torch.equal(network.head.weight, state["head.weight"])
    assert card.notes[1] == f"weights from {tmp_path / 'weights.pt'}"


def test_a_state_dict_that_does_not_fit_own_code_is_refused(net, tmp_path, refused):
    torch.save({"fc.weight": torch.zeros(4, 3)}, tmp_path / "weights.pt")
    error = refused(ModelError, f"{net}:make", size=8, weights=str(tmp_path / "weights.pt"))
    assert "missing head.weight, head.bias; unexpected fc.weight" in error.message


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("fails", r"net.py failed at fails\(\): LookupError: no weights today"),
        ("leaves", r"net.py failed at leaves\(\): SystemExit: 2"),
        ("number", "net.py:number gave a int, not a network"),
        ("nothing", "net.py has no 'nothing'"),
        ("gives_a_pair", "gives a tuple for 2 pictures, not logits"),
    ],
)
def test_what_goes_wrong_in_own_code_is_told(net, attribute, reason, load):
    with pytest.raises(ModelError, match=reason):
        load(f"{net}:{attribute}", size=8)


def test_the_hint_names_the_line_that_failed_and_the_functions_there_are(net, refused):
    line = NET.splitlines().index('    raise LookupError("no weights today")') + 1
    assert refused(ModelError, f"{net}:fails", size=8).hint == f"see line {line} of {net}"
    assert refused(ModelError, f"{net}:nothing").hint == "it has Net, make, ready, fails, leaves, gives_a_pair"


def test_code_that_cannot_be_imported_is_a_model_error(tmp_path, refused):
    (tmp_path / "broken.py").write_text("def make(:\n")
    assert "failed at importing it: SyntaxError" in refused(ModelError, f"{tmp_path}/broken.py:make").message
    assert "cannot read" in refused(ModelError, f"{tmp_path}/nowhere.py:make").message


def test_own_code_without_a_function_or_with_an_architecture_is_refused(net, refused):
    hint = refused(UsageError, net).hint
    assert f"--model {net}:FUNCTION" in hint
    assert "it defines Net, make, fails, leaves, gives_a_pair" in hint
    refused(UsageError, f"{net}:make", arch="cifar-resnet20")


def test_own_code_needs_a_size(net, refused):
    assert "does not say its input size" in refused(ModelError, f"{net}:make").message


def test_own_code_may_be_the_architecture_of_a_state_dict(net, tmp_path, load, same_weights, refused):
    written, _ = load(f"{net}:make", size=8)
    torch.save(written.state_dict(), tmp_path / "weights.pt")
    network, card = load(tmp_path / "weights.pt", arch=f"{net}:make", size=8)
    assert same_weights(network, written)
    assert card.architecture == "custom"
    assert str(tmp_path / "weights.pt") in card.source
    torch.save({"head.weight": torch.zeros(5, 3)}, tmp_path / "other.pt")
    assert "does not fit" in refused(ModelError, tmp_path / "other.pt", arch=f"{net}:make", size=8).message


def test_what_own_code_changes_for_the_process_is_put_back(tmp_path, load):
    (tmp_path / "rude.py").write_text(
        "import os, torch\n"
        "os.chdir('/')\n"
        "torch.set_default_dtype(torch.float64)\n"
        "def make():\n"
        "    torch.set_grad_enabled(False)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4)).float()\n"
    )
    before = Path.cwd()
    load(f"{tmp_path}/rude.py:make", size=8)
    assert Path.cwd() == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_a_network_that_leaves_while_it_computes_is_a_model_error(tmp_path, refused):
    (tmp_path / "leaver.py").write_text(
        "import sys, torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        sys.exit(3)\n"
    )
    assert "fails on pictures of 8 x 8" in refused(ModelError, f"{tmp_path}/leaver.py:Net", size=8).message


LINEAR = """
import os, torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 4)
    def forward(self, x):
        {line}
        return self.head(x.mean((2, 3)))
"""


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("os.chdir('/')", "the working directory"),
        ("torch.set_default_dtype(torch.float64)", "the default dtype"),
        ("torch.set_grad_enabled(True)", "whether gradients are computed"),
    ],
)
def test_a_network_that_changes_the_process_when_it_is_called_is_refused(tmp_path, refused, line, what):
    (tmp_path / "rude.py").write_text(LINEAR.format(line=line))
    before = Path.cwd()
    assert f"changes {what} when it is called" in refused(ModelError, f"{tmp_path}/rude.py:Net", size=8).message
    assert Path.cwd() == before
    assert torch.get_default_dtype() == torch.float32


def test_weights_in_another_dtype_are_named(tmp_path, refused):
    (tmp_path / "double.py").write_text(
        "import torch\ntorch.set_default_dtype(torch.float64)\n" + LINEAR.format(line="")
    )
    assert "float32, weights float64" in refused(ModelError, f"{tmp_path}/double.py:Net", size=8).hint
