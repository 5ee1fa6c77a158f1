"""Options that are given once go to the models that they are meant for."""

import pytest
import torch

from advcli.errors import UsageError
from advcli.models import zoo
from advcli.models.loading import ModelRequest, requests_for


def test_one_model_gets_every_option():
    options = ModelRequest(arch="cifar-resnet20", weights="none", size=64, trust=True)
    (request,) = requests_for(["resnet18"], options)
    assert request == ModelRequest("resnet18", arch="cifar-resnet20", weights="none", size=64, trust=True)


def test_an_architecture_goes_to_files_and_weights_to_names(resnet20):
    path = str(resnet20[1])
    options = ModelRequest(arch="cifar-resnet20", weights="none", trust=True)
    assert requests_for(["cifar10-resnet20", "resnet18", path], options) == (
        ModelRequest("cifar10-resnet20", trust=True),
        ModelRequest("resnet18", weights="none", trust=True),
        ModelRequest(path, arch="cifar-resnet20", trust=True),
    )


def test_a_normalization_goes_to_the_models_that_do_not_say_theirs(resnet20):
    path, ours = str(resnet20[1]), str(zoo.weights("cifar10-resnet20"))
    options = ModelRequest(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    known, bare, header, code = requests_for(["resnet18", path, ours, "net.py:make"], options)
    assert (known.mean, header.mean) == (None, None)
    assert bare.mean == code.mean == (0.5, 0.5, 0.5)


def test_what_all_models_say_is_overridden_in_all():
    options = ModelRequest(size=64)
    assert [request.size for request in requests_for(["resnet18", "cifar10-resnet20"], options)] == [64, 64]


def test_options_that_no_model_takes_and_models_given_twice_are_refused():
    with pytest.raises(UsageError, match="none of the models takes --arch cifar-cnn8"):
        requests_for(["resnet18", "resnet34"], ModelRequest(arch="cifar-cnn8"))
    with pytest.raises(UsageError, match="--model resnet18 is given twice"):
        requests_for(["resnet18", "resnet34", "resnet18"], ModelRequest())


def test_several_models_load(resnet20, load):
    path = str(resnet20[1])
    options = ModelRequest(arch="cifar-resnet20")
    for request in requests_for(["cifar10-resnet20", path], options):
        network, _ = load(request.name, arch=request.arch)
        assert isinstance(network, torch.nn.Module)
