"""Weights without their code find the architecture they fit, and are told why they do not fit another."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from advcli.errors import ModelError, UsageError
from advcli.models.architectures import ARCHITECTURES
from advcli.models.card import Preprocessing

GIVEN = Path(__file__).parents[2].parent / "shared" / "models" / "resnet20-12fca82f.th"
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
NO_NORMALIZATION = "no normalization is known, so pixels reach the network as they are"


def test_a_state_dict_goes_into_the_architecture_that_is_named(resnet20, load, same_weights):
    written, path = resnet20
    network, card = load(path, arch="cifar-resnet20", **IMAGENET)
    assert same_weights(network, written)
    assert card.architecture == "cifar-resnet20"
    assert card.source == card.name == str(path)
    assert card.classes == tuple("0123456789")
    assert not card.classes_known
    assert card.preprocessing == Preprocessing((32, 32), 32, **IMAGENET)
    assert card.notes == ()


def test_without_normalization_pixels_reach_the_network_and_the_card_says_so(resnet20, load):
    _, card = load(resnet20[1], arch="cifar-resnet20")
    assert (card.preprocessing.mean, card.preprocessing.std) == ((0, 0, 0), (1, 1, 1))
    assert [note.startswith(NO_NORMALIZATION) for note in card.notes] == [True]


def test_half_a_normalization_is_refused(resnet20, refused):
    error = refused(UsageError, resnet20[1], arch="cifar-resnet20", mean=(0.5, 0.5, 0.5))
    assert "--mean is given without --std" in error.message


@pytest.mark.skipif(not GIVEN.exists(), reason="the given checkpoint is not beside this checkout")
def test_the_given_checkpoint_loads(load):
    network, card = load(GIVEN, arch="cifar-resnet20", **IMAGENET)
    assert len(card.classes) == 10
    stored = torch.load(GIVEN, map_location="cpu", weights_only=True)["state_dict"]
    assert torch.equal(network.linear.weight, stored["module.linear.weight"])
    assert torch.equal(network.layer3[2].bn2.running_var, stored["module.layer3.2.bn2.running_var"])


@pytest.mark.parametrize("arch", ["cifar-resnet20", "torchvision:squeezenet1_1", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("container", ["pt", "safetensors"])
def test_the_number_of_classes_is_that_of_the_weights_in_any_container(tmp_path, arch, container, load, same_weights):
    from torchvision import models

    name = arch.rpartition(":")[2]
    written = ARCHITECTURES[name].build(7) if name in ARCHITECTURES else models.get_model(name, num_classes=7)
    if container == "pt":
        torch.save(written.state_dict(), tmp_path / "seven")
    else:
        save_file(written.state_dict(), tmp_path / "seven")  # sorts by name: the last layer is not the last tensor
    network, card = load(tmp_path / "seven", arch=arch)
    assert same_weights(network, written)
    assert len(card.classes) == 7


def test_weights_from_before_batch_norms_counted_fit(resnet20, tmp_path, load, same_weights):
    written, _ = resnet20
    state = {name: value for name, value in written.state_dict().items() if "num_batches" not in name}
    torch.save(state, tmp_path / "old.pt")
    assert same_weights(load(tmp_path / "old.pt", arch="cifar-resnet20")[0], written)


@pytest.mark.parametrize("classes", [10, 3])
def test_a_state_dict_without_an_architecture_is_told_what_it_looks_like(tmp_path, classes, refused):
    torch.save(ARCHITECTURES["cifar-resnet32"].build(classes).state_dict(), tmp_path / "net.pt")
    error = refused(ModelError, tmp_path / "net.pt")
    assert "is a state dict, which does not say its architecture" in error.message
    assert error.hint == "looks like cifar-resnet32: give --arch cifar-resnet32"


def test_a_state_dict_like_nothing_known_is_told_what_arch_takes(tmp_path, refused):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "net.pt")
    assert refused(ModelError, tmp_path / "net.pt").hint.startswith("give --arch: cifar-resnet20, cifar-resnet32")


def test_a_mismatch_names_the_first_keys_and_the_closest_architecture(resnet20, refused):
    error = refused(ModelError, resnet20[1], arch="cifar-resnet32")
    assert "does not fit cifar-resnet32: missing layer1.3.conv1.weight, layer1.3.bn1.weight" in error.message
    assert error.message.endswith("and 55 more")
    assert error.hint == "looks like cifar-resnet20: give --arch cifar-resnet20"


def test_a_mismatch_names_unexpected_keys_and_shapes(resnet20, tmp_path, refused):
    state = resnet20[0].state_dict()
    state["fc.weight"] = torch.zeros(2)
    state["conv1.weight"] = torch.zeros(16, 3, 7, 7)
    del state["bn1.bias"]
    torch.save(state, tmp_path / "net.pt")
    error = refused(ModelError, tmp_path / "net.pt", arch="cifar-resnet20")
    assert error.message.endswith(
        "missing bn1.bias; unexpected fc.weight; conv1.weight is (16, 3, 7, 7), not (16, 3, 3, 3)"
    )
    assert "no known architecture comes closer" in error.hint
    assert "closest known architecture is cifar-resnet20" in refused(ModelError, tmp_path / "net.pt").hint


def test_an_unknown_architecture_is_answered_with_the_closest(resnet20, refused):
    error = refused(ModelError, resnet20[1], arch="cifar-resnet21")
    assert error.message == "there is no architecture 'cifar-resnet21'"
    assert "cifar-resnet20" in error.hint


def test_safetensors_of_somebody_else_need_an_architecture(resnet20, tmp_path, load, refused, same_weights):
    save_file(resnet20[0].state_dict(), tmp_path / "net.safetensors")
    assert "--arch cifar-resnet20" in refused(ModelError, tmp_path / "net.safetensors").hint
    assert same_weights(load(tmp_path / "net.safetensors", arch="cifar-resnet20")[0], resnet20[0])


def test_class_names_must_be_as_many_as_logits(resnet20, tmp_path, refused):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    error = refused(ModelError, resnet20[1], arch="cifar-resnet20", classes=tmp_path / "names.txt")
    assert "has 10 logits, but --classes" in error.message
    assert error.message.endswith("has 2 names")


@pytest.mark.parametrize(("value", "reason"), [(float("nan"), "NaN or infinite"), (float("inf"), "NaN or infinite")])
def test_weights_that_are_no_numbers_are_refused_by_name(resnet20, refused, value, reason):
    network, path = resnet20
    state = network.state_dict()
    name = list(state)[3]
    state[name].view(-1)[0] = value
    torch.save(state, path)
    error = refused(ModelError, path, arch="cifar-resnet20")
    assert reason in error.message
    assert name in error.message


def test_a_checkpoint_that_contains_itself_holds_no_state_dict(tmp_path, refused):
    loop = {}
    loop["model"] = loop
    torch.save(loop, tmp_path / "loop.pt")
    assert "holds no state dict" in refused(ModelError, tmp_path / "loop.pt", arch="cifar-resnet20").message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensor: tensor.to(torch.complex64), "complex"),
        (lambda tensor: tensor.to("meta"), "without values"),
        (lambda tensor: tensor.to_sparse(), "not dense"),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
def test_weights_that_no_network_takes_are_refused_by_name(resnet20, refused, change, reason):
    network, path = resnet20
    state = network.state_dict()
    state["linear.weight"] = change(state["linear.weight"])
    torch.save(state, path)
    error = refused(ModelError, path, arch="cifar-resnet20")
    assert f"has weights that are {reason}" in error.message
    assert error.message.endswith("linear.weight")
