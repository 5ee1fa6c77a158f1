"""The relatives of Grad-CAM: closed forms, identities, and pytorch-grad-cam where it is right."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_grad_cam import EigenCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from advcli.attributions import eigen_cam as eigen_cam_module
from advcli.attributions import grad_cam as grad_cam_module
from advcli.attributions import grad_cam_plus_plus as grad_cam_plus_plus_module
from advcli.attributions import hires_cam as hires_cam_module
from advcli.attributions import layer_cam as layer_cam_module
from advcli.attributions import score_cam as score_cam_module
from advcli.attributions._run import Request, explain_batch
from advcli.core.scores import Target
from advcli.models.layers import pick_layer
from advcli.models.view import View
from advcli.registry import Method


def called_as(method):
    """Give a method as a function of classifier, pixels and classes, which watches the layer."""

    def call(classifier, pixels, classes, *, layer, score="logit", **settings):
        return method(View(classifier, pixels, watch=[layer.name]), Target(classes, score), layer=layer, **settings)

    return call


eigen_cam = called_as(eigen_cam_module.eigen_cam)
grad_cam = called_as(grad_cam_module.grad_cam)
grad_cam_plus_plus = called_as(grad_cam_plus_plus_module.grad_cam_plus_plus)
hires_cam = called_as(hires_cam_module.hires_cam)
layer_cam = called_as(layer_cam_module.layer_cam)
score_cam = called_as(score_cam_module.score_cam)

ZERO = torch.zeros(1, dtype=torch.int64)
A1, A2 = [[1.0, 2.0], [3.0, 4.0]], [[4.0, 3.0], [2.0, 1.0]]
TOY = torch.tensor([[A1, A2, [[0.0, 0.0], [0.0, 0.0]]]]) / 4


class Toy(nn.Module):
    """Four times the channels of the picture, pooled, and weighted 1, -1/2 and 0 (or as given)."""

    def __init__(self, weights=(1.0, -0.5, 0.0)):
        super().__init__()
        self.map, self.weights = nn.Identity(), torch.tensor(weights)

    def forward(self, pixels):
        value = self.map(4 * pixels).mean((2, 3)) @ self.weights
        return torch.stack([value, 0 * value], 1)


@pytest.fixture
def toy(wrap):
    return wrap(Toy(), size=2)


def on_toy(method, classifier, **settings):
    return method(classifier, TOY, ZERO, layer=pick_layer(classifier, "map"), **settings)[0].tolist()


def test_on_the_toy_the_maps_are_what_they_are_on_paper(toy):
    assert on_toy(hires_cam, toy, relu=False) == [[-0.25, 0.125], [0.5, 0.875]]
    assert on_toy(hires_cam, toy) == [[0, 0.125], [0.5, 0.875]]
    assert on_toy(layer_cam, toy) == [[0.25, 0.5], [0.75, 1]]
    # Four places of weight 1 / (2 + 10 / 4) times a gradient of 1 / 4: 2 / 9 for the first channel, 0 for the second.
    assert np.allclose(on_toy(grad_cam_plus_plus, toy), 2 / 9 * np.array(A1), rtol=1e-12)


def test_grad_cam_plus_plus_has_no_weight_where_its_derivation_ends(wrap):
    classifier = wrap(Toy((-1.0, -0.5, 0.0)), size=2)
    assert on_toy(grad_cam_plus_plus, classifier) == [[0, 0], [0, 0]]

    class Shifted(Toy):
        def forward(self, pixels):
            value = self.map(4 * pixels - 30).mean((2, 3)) @ self.weights
            return torch.stack([value, 0 * value], 1)

    found = on_toy(grad_cam_plus_plus, wrap(Shifted(), size=2))  # 2 + S g is negative everywhere
    assert found == [[0, 0], [0, 0]]


def test_score_cam_of_the_toy_is_what_it_is_on_paper(toy):
    weights = torch.tensor([1.0, -0.5]).double()
    channels = torch.tensor([A1, A2]).double()
    masks = (channels - 1) / 3  # both run from 1 to 4; the third is flat and takes no part
    scores = torch.stack([((channels * mask).mean((1, 2)) * weights).sum() for mask in masks])
    expected = (scores.softmax(0)[:, None, None] * channels).sum(0)
    assert np.allclose(on_toy(score_cam, toy), expected, rtol=1e-6)


def test_a_layer_that_is_flat_has_empty_maps_that_are_not_nan(toy):
    layer, flat = pick_layer(toy, "map"), torch.full((1, 3, 2, 2), 0.5)
    for method in (score_cam, eigen_cam):
        assert not method(toy, flat, ZERO, layer=layer).any()


def test_eigen_cam_is_the_first_principal_component_with_its_largest_value_positive(toy):
    # A2 = 5 - A1: all variance lies along (1, -1) / sqrt 2, with coordinates sqrt 2 times A1 less its mean.
    expected = np.sqrt(2) * (np.array(A1) - 2.5)
    found = np.array(on_toy(eigen_cam, toy, relu=False))
    assert np.allclose(found, expected, atol=1e-6) or np.allclose(found, -expected, atol=1e-6)
    lopsided = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]] * 3])
    for pixels in (lopsided, 1 - lopsided):
        found = eigen_cam(toy, pixels, ZERO, layer=pick_layer(toy, "map"), relu=False)[0]
        assert found[1, 1] == found.max() == found.abs().max()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(hires_cam, HiResCAM), (layer_cam, LayerCAM), (grad_cam_plus_plus, GradCAMPlusPlus)],
    ids=["hires-cam", "layer-cam", "grad-cam-plus-plus"],
)
@pytest.mark.parametrize("place", [5, 8])
def test_maps_are_displayed_as_pytorch_grad_cam_displays_them(trained, ours, theirs, place):
    network = copy.deepcopy(trained.exact_network)
    targets = [ClassifierOutputTarget(int(label)) for label in trained.labels]
    with theirs(network, [network.network[place]]) as reference:
        expected = reference(input_tensor=trained.images.clone().requires_grad_(), targets=targets)
    layer = pick_layer(trained.exact, f"network.{place}")
    maps = ours(trained.exact, trained.images, trained.labels, layer=layer).numpy()
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    # It adds 1e-6 to the denominator of Grad-CAM++, which is itself about g squared.
    tolerance = 2e-2 if ours is grad_cam_plus_plus else 2e-6
    shown = ((maps - low) / np.where(high > 0, high - low, 1)).astype(np.float32)
    assert np.abs(shown - expected).max() <= tolerance


def test_eigen_cam_is_pytorch_grad_cams_up_to_the_sign_that_it_leaves_to_chance(trained):
    network = copy.deepcopy(trained.exact_network)
    with EigenCAM(network, [network.network[8]]) as reference:
        low = reference.get_cam_image(trained.images, network.network[8], None, activations_of(trained), None, False)
    expected = F.interpolate(torch.from_numpy(low)[:, None].double(), (16, 16), mode="bilinear", align_corners=False)[
        :, 0
    ]
    layer = pick_layer(trained.exact, "network.8")
    found = eigen_cam(trained.exact, trained.images, trained.labels, layer=layer, relu=False)
    apart = torch.minimum(*((found - sign * expected).abs().flatten(1).amax(1) for sign in (1, -1)))
    assert (apart <= 1e-5 * expected.abs().flatten(1).amax(1)).all()


def activations_of(trained):
    layer = pick_layer(trained.exact, "network.8")
    return View(trained.exact, trained.images, watch=[layer.name]).watched(layer.name).numpy()


def test_before_a_pooled_linear_head_grad_cam_is_hires_cam_and_class_activation_mapping(trained):
    layer = pick_layer(trained.exact, "network.8")
    arguments = (trained.exact, trained.images, trained.labels)
    raw = grad_cam(*arguments, layer=layer, relu=False)
    head = trained.exact_network.network[11].weight.detach()[trained.labels]  # (N, C)
    channels = torch.from_numpy(activations_of(trained))
    low = (head[:, :, None, None] * channels).sum(1) / 16  # CAM over h w
    cam = F.interpolate(low[:, None], (16, 16), mode="bilinear", align_corners=False)[:, 0]
    for found in (raw, hires_cam(*arguments, layer=layer, relu=False)):
        assert (found - cam).abs().max() <= 1e-6 * cam.abs().max()
    # The map then adds up to the logit, up to the bias.
    logits = trained.exact_network(trained.images).double().gather(1, trained.labels[:, None])[:, 0]
    bias = trained.exact_network.network[11].bias.detach()[trained.labels]
    assert torch.allclose(low.sum((1, 2)) + bias, logits, rtol=1e-5, atol=1e-5)


def test_score_cam_by_hand(trained):
    images, labels, layer = trained.images[:3], trained.labels[:3], pick_layer(trained.exact, "network.8")
    channels = torch.from_numpy(activations_of(trained))[:3]
    expected = []
    for image, label, activation in zip(images, labels, channels, strict=True):
        masks = F.interpolate(activation[:, None], (16, 16), mode="bilinear", align_corners=False)
        low, high = activation.amin((1, 2)).view(-1, 1, 1, 1), activation.amax((1, 2)).view(-1, 1, 1, 1)
        keeps = (high > low).flatten()
        masks = ((masks - low) / (high - low))[keeps]
        scores = trained.exact_network((image * masks).float())[:, label].double()
        combined = (scores.softmax(0)[:, None, None] * activation[keeps]).sum(0).relu()
        expected.append(F.interpolate(combined[None, None], (16, 16), mode="bilinear", align_corners=False)[0, 0])
    found = score_cam(trained.exact, images, labels, layer=layer)
    assert torch.allclose(found, torch.stack(expected), rtol=1e-5)


def test_the_map_of_several_layers_is_the_mean_of_their_maps_at_one_size(trained):
    layers = tuple(pick_layer(trained.classifier, name) for name in ("5", "8"))
    method, target = Method("attribution", "grad-cam", {"relu": True}), Target(trained.labels[:3])

    def explained(*chosen):
        request = Request(method, target, chosen)
        (found,) = explain_batch(trained.classifier, trained.images[:3], [request], seed=0, digests=["a", "b", "c"])
        return found

    first, second, both = explained(layers[0]), explained(layers[1]), explained(*layers)
    parts = [one.maps / np.abs(one.maps).max((1, 2), keepdims=True) for one in (first, second)]
    assert np.allclose(both.maps, (parts[0] + parts[1]) / 2, rtol=1e-5)
    assert both.layers == layers
    assert first.layers == layers[:1]
