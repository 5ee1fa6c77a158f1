"""The classifier: one contract for pixels and logits, and rows that do not depend on their neighbors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.errors import ContractError, ModelError
from advcli.models.architectures import ARCHITECTURES
from advcli.models.classifier import SMALLEST_STEADY, Classifier


@pytest.fixture(scope="module")
def resnet20(make_card):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ARCHITECTURES["cifar-resnet20"].build(10)
    return Classifier(network, make_card(10, 32))


@pytest.fixture(params=["trained", "resnet20"])
def classifier(request):
    found = request.getfixturevalue(request.param)
    return getattr(found, "classifier", found)


def noise(classifier, count, seed=0):
    size = classifier.card.preprocessing.size
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def cotangents(logits):
    return F.one_hot(logits.argmax(1), logits.shape[1]).float() - logits.softmax(1)


def assert_rows_know_no_batch(classifier, counts):
    pixels = noise(classifier, 150)
    cotangent = cotangents(classifier.logits(pixels))
    look = classifier.look(pixels)
    logits, gradient = look.logits, look.pull(cotangent)
    generator = torch.Generator().manual_seed(1)
    for count in counts:
        chosen = torch.randperm(150, generator=generator)[:count]
        part = classifier.look(pixels[chosen])
        assert torch.equal(part.logits, logits[chosen])
        assert torch.equal(part.pull(cotangent[chosen]), gradient[chosen])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_the_same_to_the_bit_in_any_batch_and_at_any_place(classifier, precision):
    searching = copy.copy(classifier)
    searching.precision = precision
    assert_rows_know_no_batch(searching, (*range(1, 41), 100))


@pytest.mark.slow  # where another process wants a core too
def test_two_threads_do_not_make_a_row_depend_on_its_batch(resnet20):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_rows_know_no_batch(resnet20, (1, 2, 7, 15, 16, 17, 33, 40))
    finally:
        torch.set_num_threads(before)


def test_judging_and_searching_see_the_same_logits(classifier):
    pixels = noise(classifier, 70)
    logits = classifier.logits(pixels)
    assert torch.equal(classifier.look(pixels).logits, logits)
    assert torch.equal(classifier.look(pixels, gradient=False).logits, logits)
    assert not logits.requires_grad


@pytest.mark.parametrize("block", [1, 5])
def test_small_blocks_have_one_size(trained, make_card, block):
    classifier = Classifier(copy.deepcopy(trained.network), make_card(5, 16), block=block)
    shown = []
    classifier.network.register_forward_pre_hook(lambda _module, inputs: shown.append(len(inputs[0])))
    logits = classifier.logits(trained.images[:13])
    assert set(shown) == {block}
    assert sum(shown) == -(-13 // block) * block
    for row in range(13):
        assert torch.equal(classifier.logits(trained.images[row : row + 1])[0], logits[row])


@pytest.mark.parametrize("count", [1, 15, 16, 17, 63, 64, 65, 79, 80, 130, 1000])
def test_the_network_never_sees_fewer_rows_than_a_block(trained, count):
    classifier = copy.copy(trained.classifier)
    classifier.network = copy.deepcopy(classifier.network)
    shown = []
    classifier.network.register_forward_pre_hook(lambda _module, inputs: shown.append(len(inputs[0])))
    assert len(classifier.logits(noise(classifier, count))) == count
    assert min(shown) >= SMALLEST_STEADY
    assert max(shown) <= classifier.rows_at_once
    assert sum(shown) == max(count, SMALLEST_STEADY)


def test_a_pull_is_the_gradient(trained):
    pixels = trained.images[:20]
    leaf = pixels.clone().requires_grad_()
    logits = trained.exact_network(leaf)
    cotangent = cotangents(logits.detach())
    (expected,) = torch.autograd.grad(logits, leaf, cotangent)
    found = trained.exact.look(pixels).pull(cotangent)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    found = trained.classifier.look(pixels).pull(cotangent)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_pull_for_some_rows_is_the_pull_for_all(classifier):
    pixels = noise(classifier, 150)  # three blocks
    look = classifier.look(pixels)
    cotangent = cotangents(look.logits)
    everything = look.pull(cotangent)
    for rows in ([0], [149, 3], list(range(60, 90)), list(range(149, -1, -1))):
        places = torch.tensor(rows)
        assert torch.equal(look.pull(cotangent[places], places), everything[places])


def test_a_look_can_be_pulled_more_than_once(classifier):
    look = classifier.look(noise(classifier, 3))
    cotangent = cotangents(look.logits)
    first = look.pull(cotangent)
    assert torch.allclose(look.pull(2 * cotangent), 2 * first, rtol=1e-4, atol=1e-9)
    assert torch.equal(look.pull(cotangent), first)


def test_the_callers_pixels_and_global_state_stay_as_they_were(classifier):
    pixels = noise(classifier, 20)
    before, state = pixels.clone(), torch.get_rng_state()
    classifier.look(pixels).pull(torch.ones(20, len(classifier.card.classes)))
    classifier.logits(pixels)
    assert torch.equal(pixels, before)
    assert not pixels.requires_grad
    assert pixels.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_a_gradient_can_be_had_under_no_grad(trained):
    with torch.no_grad():
        look = trained.classifier.look(trained.images[:2])
        assert look.pull(torch.ones(2, 5)).any()
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pixels: pixels + 0.5, r"pixels in \[0, 1\], not \[0\.\d+, 1\.\d+\]"),
        (lambda pixels: pixels - 1e-6, r"pixels in \[0, 1\], not \[-1e-06"),
        (lambda pixels: pixels * float("nan"), r"pixels in \[0, 1\], not \[nan, nan\]"),
        (lambda pixels: pixels[:, :, :15], r"pixels \(N, 3, 16, 16\), not \(4, 3, 15, 16\)"),
        (lambda pixels: pixels[:0], r"pixels \(N, 3, 16, 16\), not \(0, 3, 16, 16\)"),
    ],
)
def test_pixels_that_break_the_contract_are_refused(trained, spoil, message):
    pixels = trained.images[:4].clone()
    pixels[0, 0, 0, 0] = 0
    for see in (trained.classifier.logits, trained.classifier.look):
        with pytest.raises(ContractError, match=message):
            see(spoil(pixels))


class Says(nn.Module):
    """A network with a given output."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, pixels):
        return self.output(pixels)


def fail(error):
    def output(pixels):
        raise error

    return output


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda pixels: pixels, r"gives \(2, 3, 8, 8\), not logits"),
        (lambda pixels: pixels.flatten(1)[:, 0], r"gives \(2,\), not logits"),
        (lambda pixels: (pixels.mean((2, 3)), pixels), "gives tuple, not logits"),
        (lambda pixels: pixels.mean((2, 3)), "has 3 logits but 2 class names"),
        (fail(RuntimeError("mat1 and mat2\ncannot")), "does not take 8 x 8 pixels: mat1 and mat2"),
        (fail(AssertionError("Wrong image height!")), "does not take 8 x 8 pixels: Wrong image height!"),
        (fail(IndexError()), "does not take 8 x 8 pixels: IndexError"),
    ],
)
def test_a_network_that_does_not_give_logits_is_refused(wrap, output, message):
    with pytest.raises(ModelError, match=message) as caught:
        wrap(Says(output))
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_logits_that_are_not_finite_are_refused(wrap):
    # 0.5 is only exceeded where a test says so, and not by the probe's mean.
    classifier = wrap(Says(lambda pixels: pixels.mean((2, 3))[:, :2] / (pixels.amin((1, 2, 3)) < 0.9)[:, None]))
    pixels = torch.full((3, 3, 8, 8), 0.5)
    classifier.logits(pixels)
    pixels[1] = 0.95
    for see in (classifier.logits, classifier.look):
        with pytest.raises(ModelError, match="logits are not finite"):
            see(pixels)


def test_the_network_is_frozen_and_evaluates(make_card, trained):
    network = copy.deepcopy(trained.network).train().requires_grad_()
    classifier = Classifier(network, make_card(5, 16))
    for part in (network, classifier.network):
        assert not any(module.training for module in part.modules())
        assert not any(parameter.requires_grad for parameter in part.parameters())


def test_the_fingerprint_is_of_the_weights(make_card, trained):
    def fingerprint(network):
        return Classifier(copy.deepcopy(network), make_card(5, 16)).fingerprint

    network = copy.deepcopy(trained.network)
    first = fingerprint(network)
    assert len(first) == 64
    assert fingerprint(network.to(memory_format=torch.channels_last)) == first
    network.network[0].weight.data[0, 0, 0, 0] += 1e-6
    assert fingerprint(network) != first
    network.load_state_dict(trained.network.state_dict())
    assert fingerprint(network) == first


def test_the_fingerprint_is_the_same_in_every_version(wrap):
    linear = nn.Linear(3 * 64, 2)
    linear.weight.data = torch.arange(2 * 3 * 64).view(2, -1).float()
    linear.bias.data = torch.tensor([0.5, -0.5])
    assert wrap(nn.Sequential(nn.Flatten(), linear)).fingerprint.startswith("cc6f6942bd34e1ea")


def test_normalization_is_inside(make_card):
    network = Says(lambda pixels: pixels.mean((2, 3))[:, :2])
    card = make_card(2, 8, mean=(0.25, 0.5, 0.75), std=(0.5, 0.25, 0.125))
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = (pixels.mean((2, 3))[:, :2] - torch.tensor([0.25, 0.5])) / torch.tensor([0.5, 0.25])
    assert torch.allclose(Classifier(network, card).logits(pixels), expected, atol=1e-6)


def test_the_network_is_watched_without_a_trace(trained):
    network = trained.classifier.network
    pixels = trained.images[:3]
    expected = network[:8](trained.classifier.normalize(pixels))
    look = trained.classifier.look(pixels, watch="7")
    assert torch.allclose(look.watched, expected, atol=1e-5)
    assert torch.equal(look.logits, trained.classifier.look(pixels).logits)
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(RuntimeError, match="nothing was watched"):
        trained.classifier.look(pixels).watched  # noqa: B018  reading it is the test


@pytest.mark.parametrize("layer", ["1", "2"])
def test_an_in_place_relu_spoils_neither_side(trained, layer):
    network = trained.classifier.network
    assert network[2].inplace
    pixels = trained.images[:20]
    before = network[:2](trained.classifier.normalize(pixels)).detach()
    leaf = (before if layer == "1" else before.relu()).clone().requires_grad_()
    logits = network[2:](leaf.clone()) if layer == "1" else network[3:](leaf)
    (expected,) = torch.autograd.grad(logits[:, 0].sum(), leaf)
    look = trained.classifier.look(pixels, watch=layer)
    assert torch.allclose(look.watched, leaf.detach(), atol=1e-5)
    cotangent = F.one_hot(torch.zeros(20, dtype=torch.int64), 5).float()
    assert torch.allclose(look.pull_watched(cotangent), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(look.pull(cotangent), trained.classifier.look(pixels).pull(cotangent))


def test_what_is_watched_belongs_to_its_row(classifier):
    pixels = noise(classifier, 150)
    name = "layer3" if hasattr(classifier.network, "layer3") else "8"
    look = classifier.look(pixels, watch=name)
    cotangent = cotangents(look.logits)
    watched, pulled = look.watched, look.pull_watched(cotangent)
    for chosen in (slice(140, 141), slice(3, 50)):
        part = classifier.look(pixels[chosen], watch=name)
        assert torch.equal(part.watched, watched[chosen])
        assert torch.equal(part.pull_watched(cotangent[chosen]), pulled[chosen])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_low_precision_only_searches(trained, precision):
    classifier = copy.copy(trained.classifier)
    classifier.precision = precision
    look = classifier.look(trained.images, watch="8")
    exact = trained.classifier.logits(trained.images)
    assert torch.equal(classifier.logits(trained.images), exact)
    assert look.logits.dtype == look.watched.dtype == look.pull(exact).dtype == torch.float32
    assert not torch.equal(look.logits, exact)
    assert torch.allclose(look.logits, exact, rtol=0, atol=0.05 * float(exact.abs().max()))
