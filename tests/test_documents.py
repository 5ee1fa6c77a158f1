"""What the documents say is so."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch

from advcli.core.randomness import key
from advcli.engine.drive import drive, new_rows
from advcli.engine.outcome import AS_SAVED
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from advcli.registry import names

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text()


def test_the_attack_of_the_contributing_page_works_as_it_stands():
    code = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    module = types.ModuleType("my_attack")
    sys.modules["my_attack"] = module
    exec(compile(code, "CONTRIBUTING.md", "exec"), module.__dict__)
    network, card = load_network(ModelRequest())
    classifier = Classifier(network, card)
    images = (torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255).round() / 255
    labels = classifier.logits(images).argmax(1)
    keys = torch.tensor([key(0, str(place), "my-attack") for place in range(5)])
    rows = new_rows(images, labels, torch.full_like(labels, -1), keys, 8 / 255)
    assert (drive(module.MyAttack(), classifier, rows, in_flight=2).rank == AS_SAVED).all()


@pytest.mark.parametrize("kind", ["attack", "attribution"])
def test_the_readme_names_every_method(readme, kind):
    for name in names(kind):
        assert f"| `{name}` |" in readme


def test_the_readme_names_every_command(readme):
    for command in ("saliency", "attack", "explain", "compare", "train", "model list", "model layers"):
        assert f"advcli {command}" in readme


def test_the_readme_gives_the_two_commands_of_the_set_up(readme):
    assert "    python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/advcli compare --out demo\n" in readme
    assert "    python3 -m venv .venv && .venv/bin/pip install -q '.[test]' && .venv/bin/pytest\n" in readme


def test_the_card_of_the_built_in_network_is_about_the_network_that_ships():
    network, card = load_network(ModelRequest())
    words = (ROOT / "advcli" / "models" / "zoo" / "cifar10-resnet20.md").read_text()
    assert Classifier(network, card).fingerprint in words


def test_the_built_in_network_is_as_good_as_its_card_says():
    folder = ROOT.parent / "shared" / "data" / "cifar10-png" / "test"
    if not folder.exists():
        pytest.skip("the exact CIFAR-10 test pictures are not here")
    from advcli.images.datasets import load_labelled

    network, card = load_network(ModelRequest())
    classifier = Classifier(network, card)
    found = load_labelled([folder], 32, card.classes)
    pixels = torch.from_numpy(found.images).permute(0, 3, 1, 2).float() / 255
    right = int((classifier.logits(pixels).argmax(1) == torch.from_numpy(found.labels)).sum())
    assert (right, len(found)) == (464, 508)
