"""What the documents say is so."""

import re
import sys
import tomllib
import types
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from advcli.cli import commands
from advcli.cli.app import app
from advcli.core.randomness import key
from advcli.models import zoo
from advcli.models.classifier import Classifier
from advcli.models.loading import ModelRequest, load_network
from advcli.registry import names
from advcli.search.attempt import Attempt
from advcli.search.flow import drive

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
    labels = classifier.logits(images).argmax(1).tolist()
    attack = module.MyAttack()
    attempts = [
        Attempt(classifier, attack, image, label, eps=8 / 255, key=key(0, str(place), "my-attack"))
        for place, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    assert all(outcome.reached_as_saved for outcome in drive(attempts, batch_size=2))


@pytest.mark.parametrize("kind", ["attack", "attribution"])
def test_the_readme_names_every_method(readme, kind):
    for name in names(kind):
        assert f"| `{name}` |" in readme


def test_the_readme_names_every_command(readme):
    for command in (*commands.names(), "model list", "model layers", "run schema"):
        assert f"advcli {command}" in readme


def test_the_readme_gives_the_two_commands_of_the_set_up(readme):
    assert "    python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/advcli compare --out demo\n" in readme
    assert "    python3 -m venv .venv && .venv/bin/pip install -q '.[test]' && .venv/bin/pytest -n auto\n" in readme


@pytest.mark.parametrize("name", zoo.names())
def test_the_card_of_a_built_in_network_is_about_the_network_that_ships(name):
    network, card = load_network(ModelRequest(name))
    words = (ROOT / "advcli" / "models" / "zoo" / f"{name}.md").read_text()
    assert Classifier(network, card).fingerprint in words


@pytest.mark.parametrize(("name", "expected"), [("cifar10-resnet20", 464), ("cifar10-resnet20-robust", 338)])
def test_a_built_in_network_is_as_good_as_its_card_says(name, expected):
    folder = ROOT.parent / "shared" / "data" / "cifar10-png" / "test"
    if not folder.exists():
        pytest.skip("the exact CIFAR-10 test pictures are not here")
    from advcli.images.datasets import load_labelled

    network, card = load_network(ModelRequest(name))
    classifier = Classifier(network, card)
    found = load_labelled([folder], 32, card.classes)
    pixels = torch.from_numpy(found.images).permute(0, 3, 1, 2).float() / 255
    right = int((classifier.logits(pixels).argmax(1) == torch.from_numpy(found.labels)).sum())
    assert (right, len(found)) == (expected, 508)


def test_the_readme_names_every_room(readme):
    folders = {path.parent.name for path in (ROOT / "advcli").glob("*/__init__.py")}
    assert {folder for folder in folders if f"`advcli/{folder}`" not in readme} == set()


def test_the_contributing_page_lists_the_rooms_that_are_held():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    listed = "".join(f"    {line.replace('advcli.', '')}\n" for line in layers)
    assert listed in (ROOT / "CONTRIBUTING.md").read_text()


def test_options_in_the_readme_are_options_of_some_command(readme):
    known = "".join(CliRunner().invoke(app, [name, "--help-all"]).output for name in commands.names())
    ours = re.sub(r"torchrun .* (?=advcli)", "", readme)
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    assert {option for option in used if option not in known} <= {"--help", "--list"}
