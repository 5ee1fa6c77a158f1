"""Operator norms against brute force: the whole linear map as one matrix."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.errors import UsageError
from advcli.training.spectral import (
    add_spectral_norm,
    convolution_norm,
    layer_norms,
    reshaped_norm,
    without_parametrizations,
)


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def brute_force(weight, size, stride, dilation, groups):
    """Norm of the matrix whose columns are the images of the unit vectors."""
    channels = weight.shape[1] * groups
    units = torch.eye(channels * size[0] * size[1], dtype=torch.float64).view(-1, channels, *size)
    reach = [(weight.shape[2 + axis] - 1) * dilation[axis] for axis in (0, 1)]
    # Circular padding by hand: PyTorch's own refuses to wrap more than once.
    rows = torch.arange(size[0] + reach[0]) % size[0]
    columns = torch.arange(size[1] + reach[1]) % size[1]
    padded = units[:, :, rows][:, :, :, columns]
    images = F.conv2d(padded, weight, stride=stride, dilation=dilation, groups=groups)
    return float(torch.linalg.matrix_norm(images.flatten(1), 2))


def test_a_convolution_of_one_pixel_is_its_matrix():
    weight = random(5, 3, 1, 1)
    assert convolution_norm(weight, (7, 4)) == pytest.approx(float(torch.linalg.matrix_norm(weight[:, :, 0, 0], 2)))


def test_a_blur_leaves_a_flat_image_as_it_is():
    assert convolution_norm(torch.full((1, 1, 3, 3), 1 / 9), (8, 8)) == pytest.approx(1)


def test_the_reshaped_weight_underestimates_a_blur_by_the_side_of_its_kernel():
    weight = torch.full((1, 1, 3, 3), 1 / 9)
    assert convolution_norm(weight, (8, 8)) / reshaped_norm(weight) == pytest.approx(3)


@pytest.mark.parametrize(
    ("shape", "size", "stride", "dilation", "groups"),
    [
        ((4, 3, 3, 3), (6, 5), (1, 1), (1, 1), 1),
        ((4, 3, 3, 3), (2, 2), (1, 1), (1, 1), 1),  # a kernel wider than the image
        ((3, 4, 2, 3), (6, 6), (2, 2), (1, 1), 1),
        ((3, 2, 3, 3), (6, 9), (2, 3), (1, 1), 1),
        ((4, 2, 3, 3), (8, 8), (1, 1), (2, 3), 1),
        ((4, 2, 3, 3), (4, 4), (2, 2), (1, 1), 2),
        ((4, 1, 3, 3), (5, 4), (1, 1), (1, 1), 4),
    ],
)
def test_the_formula_is_the_norm_of_the_whole_matrix(shape, size, stride, dilation, groups):
    weight = random(*shape)
    exact = brute_force(weight, size, stride, dilation, groups)
    assert convolution_norm(weight, size, stride=stride, dilation=dilation, groups=groups) == pytest.approx(exact)


def test_a_size_that_is_no_multiple_of_the_stride_is_refused():
    with pytest.raises(UsageError, match="stride"):
        convolution_norm(random(1, 1, 3, 3), (5, 5), stride=(2, 2))


def small_network():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, 2, padding=1), nn.Flatten(),
        nn.Linear(4 * 3 * 3, 2),
    )  # fmt: skip
    network[1].weight.data.uniform_(0.5, 2)
    network[1].running_var.uniform_(0.5, 2)
    return network


def test_layers_are_measured_as_they_are_and_with_their_batch_norm():
    network = small_network().eval()
    first, second, last = layer_norms(network, torch.rand(2, 3, 5, 5))
    assert [one.layer for one in (first, second, last)] == ["0", "3", "5"]
    assert (first.size, second.size, last.size) == ((5, 5), (5, 5), (1, 1))
    norm = network[1]
    folded = network[0].weight * (norm.weight / (norm.running_var + norm.eps).sqrt()).view(-1, 1, 1, 1)
    assert first.exact == pytest.approx(convolution_norm(network[0].weight, (5, 5)))
    assert first.exact_folded == pytest.approx(convolution_norm(folded, (5, 5)), rel=1e-5)
    assert first.estimate_folded == pytest.approx(reshaped_norm(folded), rel=1e-5)
    assert second.exact == pytest.approx(convolution_norm(network[3].weight, (6, 6), stride=(2, 2)))
    assert (second.exact_folded, last.exact_folded) == (None, None)
    assert last.exact == last.estimate == pytest.approx(float(torch.linalg.matrix_norm(network[5].weight.detach(), 2)))


def test_measuring_leaves_hooks_and_mode_alone():
    network = small_network().train()
    layer_norms(network, torch.rand(2, 3, 6, 6))
    assert all(module.training and not module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("which", "expected"), [("conv", ("0", "3")), ("all", ("0", "3", "5")), ("5", ("5",)), ("[03]", ("0", "3"))]
)
def test_spectral_normalization_bounds_the_layers_it_is_put_on(which, expected):
    torch.manual_seed(0)
    network = small_network().train()
    with torch.no_grad():
        for place in (0, 3, 5):
            network[place].weight.mul_(20)
    assert add_spectral_norm(network, which) == expected
    for _ in range(30):  # one power iteration each
        network(torch.rand(4, 3, 6, 6))
    for place in (0, 3, 5):
        bounded = reshaped_norm(network[place].weight) < 1.02
        assert bounded == (str(place) in expected)


def test_a_pattern_without_a_layer_is_refused():
    with pytest.raises(UsageError, match="matches no layer") as refused:
        add_spectral_norm(small_network(), "layer9.*")
    assert refused.value.hint == "layers are 0, 3, 5"


def test_plain_weights_say_the_same_and_need_no_parametrization():
    torch.manual_seed(0)
    network = small_network()
    names = list(network.state_dict())
    add_spectral_norm(network, "all")
    network.eval()
    pixels = torch.rand(2, 3, 6, 6)
    before = network(pixels)
    bare = without_parametrizations(network)
    assert sorted(bare.state_dict()) == sorted(names)
    assert torch.equal(bare(pixels), before)
    assert torch.equal(network(pixels), before)


def test_normalization_keeps_its_digits_where_the_network_computes_in_bfloat16():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).train()
        add_spectral_norm(network)
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            for _ in range(60):
                network(torch.rand(2, 3, 8, 8))
    bare = without_parametrizations(network.eval())
    assert [reshaped_norm(bare[place].weight) for place in (0, 2)] == pytest.approx([1, 1], abs=1e-4)
