"""From Python: any module and anything that holds images, with the figures of the command line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import advcli
from advcli.errors import ContractError, ModelError

README = Path(__file__).parents[1] / "README.md"


class Linear(nn.Module):
    """Logits +-(w x + b) of one direction, so that every distance is known."""

    def __init__(self, size=(8, 8)):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(3, *size, generator=generator))

    def forward(self, x):
        value = ((x - 0.5) * self.weight).sum((1, 2, 3))
        return torch.stack([value, -value], 1)


@pytest.fixture
def network():
    return Linear().train()


@pytest.fixture
def images():
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1)).mul(255).round().div(255)


def test_importing_the_package_imports_nothing_else():
    code = "import sys, advcli; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'typer')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert not [name for name in advcli.__all__ if not hasattr(advcli, name)]
    with pytest.raises(AttributeError, match="no attribute 'defend'"):
        _ = advcli.defend


def test_fgsm_moves_every_pixel_by_eps_against_the_weights(network, images):
    classifier = advcli.load(network)
    result = advcli.attack(classifier, images, method="fgsm", eps=8 / 255)
    sign = torch.where(result.labels == 0, -1.0, 1.0).view(-1, 1, 1, 1) * network.weight.sign()
    assert torch.allclose(result.adversarial, (images + 8 / 255 * sign).clamp(0, 1), atol=1e-6)
    assert torch.equal(result.images, images)
    assert torch.equal(result.predictions, network(images).argmax(1))
    assert torch.equal(result.misclassified, network(result.adversarial).argmax(1) != result.labels)
    assert (result.linf <= 8 / 255 + 1e-6).all()
    assert torch.allclose(result.l2, (result.adversarial - images).double().flatten(1).norm(dim=1))
    assert network.training
    assert result.robust_accuracy == float((~result.misclassified_as_saved).double().mean())


def test_neither_neighbours_nor_batches_nor_forms_change_a_result(network, images):
    classifier = advcli.load(network)
    whole = advcli.attack(classifier, images, [0, 1, 0, 1, 0], "pgd:steps=5,restarts=2", eps=2 / 255, seed=3)
    for place in (0, 4):
        alone = advcli.attack(classifier, images[place], [place % 2], "pgd:steps=5,restarts=2", eps=2 / 255, seed=3)
        assert torch.equal(alone.adversarial[0], whole.adversarial[place])
    bytes_last = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    loader = DataLoader(TensorDataset(images, torch.tensor([0, 1, 0, 1, 0])), batch_size=2)
    for other in (images.numpy(), bytes_last, images.double()):
        again = advcli.attack(classifier, other, [0, 1, 0, 1, 0], "pgd:steps=5,restarts=2", eps=2 / 255, seed=3)
        assert torch.equal(again.adversarial_as_saved, whole.adversarial_as_saved)
    again = advcli.attack(classifier, loader, method="pgd:steps=5,restarts=2", eps=2 / 255, seed=3, batch_size=1)
    assert torch.equal(again.adversarial, whole.adversarial)
    assert torch.equal(again.labels, whole.labels)


@pytest.mark.parametrize("target", [1, "1", "second", [1, 1, 1, 1, 1], torch.ones(5, dtype=torch.long)])
def test_targets_are_named_as_one_likes(network, images, target):
    result = advcli.attack(advcli.load(network), images, torch.zeros(5).long(), "pgd", eps=0.5, target=target)
    assert result.targets.tolist() == [1] * 5
    assert result.target_reached_as_saved.all()


def test_the_gradient_of_a_linear_network_is_its_weights(network, images):
    maps = advcli.explain(advcli.load(network), images, "gradient:reduce=sum", target=0)
    assert maps.shape == (5, 8, 8)
    assert np.allclose(maps, network.weight.sum(0).numpy(), atol=1e-5)
    assert np.allclose(advcli.explain(network, images[0], "gradient:reduce=sum", target=[1]), -maps[:1])


def test_a_map_that_says_nothing_is_warned_of(images):
    constant = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    nn.init.zeros_(constant[1].weight)
    with pytest.warns(UserWarning, match=r"gradient: the maps of images \[0, 1, 2, 3, 4\] are blank"):
        advcli.explain(constant, images, "gradient")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, x: advcli.attack(net, x * 255), "images reach from"),
        (lambda net, x: advcli.attack(net, x - 0.5), "images reach from"),
        (lambda net, x: advcli.attack(net, x * float("nan")), "images reach from nan"),
        (lambda net, x: advcli.attack(net, x[:, :1]), r"images \(5, 1, 8, 8\) are not"),
        (lambda net, x: advcli.attack(net, iter([])), "there are no images"),
        (lambda net, x: advcli.attack(net, x, [0, 1]), r"labels \(2,\) do not fit 5 images"),
        (lambda net, x: advcli.attack(net, x, [0, 1, 2, 0, 0]), "labels reach from 0 to 2"),
        (lambda net, x: advcli.attack(net, x, method="pgdd"), "pgdd"),
        (lambda net, x: advcli.attack(net, x, eps=8), "did you mean 8/255|8"),
        (lambda net, x: advcli.attack(net, x, eps=-1.0), "eps -1.0 is not positive"),
        (lambda net, x: advcli.attack(net, x, target="all"), "2 attacks"),
        (lambda net, x: advcli.attack(net, x, target=7), "7"),
        (lambda net, x: advcli.explain(net, x, "grad-cam"), "grad-cam"),
        (lambda net, x: advcli.explain(net, x, "gradient", target=[0]), r"targets \(1,\) do not fit"),
        (lambda net, x: advcli.load(net, arch="resnet18"), "a module in memory takes neither"),
        (lambda net, x: advcli.load("cifar10-resnet20", classes=["a"]), "brings its class names"),
        (lambda net, x: advcli.attack(advcli.load(net, size=9), x), "fails on pictures|images are 8 x 8"),
    ],
)
def test_what_cannot_be_used_is_named(network, images, call, message):
    with pytest.raises((advcli.AdvcliError, ModelError, ContractError), match=message):
        call(network, images)


def test_the_readme_runs_as_it_is_written(tmp_path, monkeypatch):
    section = README.read_text().partition("## From Python")[2]
    (code,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shown = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "(1, 32, 32)"
    assert len(code.strip().splitlines()) <= 12
