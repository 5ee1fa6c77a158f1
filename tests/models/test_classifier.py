"""The classifier: one contract for pixels and logits, and rows that do not depend on their neighbors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advcli.errors import ContractError, ModelError
from advcli.models.classifier import SMALLEST_STEADY, Classifier


@pytest.fixture(params=["trained", "cifar_classifier"])
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
    logits, gradient = look.logits, look.vjp(cotangent)
    generator = torch.Generator().manual_seed(1)
    for count in counts:
        chosen = torch.randperm(150, generator=generator)[:count]
        part = classifier.look(pixels[chosen])
        assert torch.equal(part.logits, logits[chosen])
        assert torch.equal(part.vjp(cotangent[chosen]), gradient[chosen])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_the_same_to_the_bit_in_any_batch_and_at_any_place(classifier, precision):
    searching = copy.copy(classifier)
    searching.precision = precision
    assert_rows_know_no_batch(searching, (*range(1, 41), 100))


@pytest.mark.slow  # where another process wants a core too
def test_two_threads_do_not_make_a_row_depend_on_its_batch(cifar_classifier):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_rows_know_no_batch(cifar_classifier, (1, 2, 7, 15, 16, 17, 33, 40))
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
    assert max(shown) <= classifier.batch_size
    assert sum(shown) == max(count, SMALLEST_STEADY)


def test_a_vjp_is_the_gradient(trained):
    pixels = trained.images[:20]
    leaf = pixels.clone().requires_grad_()
    logits = trained.exact_network(leaf)
    cotangent = cotangents(logits.detach())
    (expected,) = torch.autograd.grad(logits, leaf, cotangent)
    found = trained.exact.look(pixels).vjp(cotangent)
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    found = trained.classifier.look(pixels).vjp(cotangent)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_vjp_for_some_rows_is_the_vjp_for_all(classifier):
    pixels = noise(classifier, 300)  # three blocks of a ResNet-20
    look = classifier.look(pixels)
    cotangent = cotangents(look.logits)
    everything = look.vjp(cotangent)
    for rows in ([0], [149, 3], [0, 299], list(range(60, 290)), list(range(299, -1, -1))):
        places = torch.tensor(rows)
        assert torch.equal(look.vjp(cotangent[places], places), everything[places])
        mask = torch.zeros(300, dtype=torch.bool)
        mask[places] = True
        assert torch.equal(look.vjp(cotangent[mask], mask), everything[mask])


def test_several_vjps_at_once_are_those_one_by_one(classifier):
    classes = len(classifier.card.classes)
    for count in (1, 3, 16, 40):
        look = classifier.look(noise(classifier, count))
        cotangent = torch.eye(classes).expand(count, classes, classes)
        together = look.vjp(cotangent)
        assert together.shape[:2] == (count, classes)
        for k in range(classes):
            assert torch.equal(look.vjp(cotangent[:, k]), together[:, k])
        places = torch.tensor([count - 1])
        assert torch.equal(look.vjp(cotangent[places], places), together[places])


def test_few_rows_pay_for_few_rows(cifar_classifier):
    look = cifar_classifier.look(noise(cifar_classifier, 300))
    shown = []
    handle = cifar_classifier.network.register_forward_pre_hook(lambda _module, inputs: shown.append(len(inputs[0])))
    try:
        look.vjp(torch.ones(2, 10), torch.tensor([7, 250]))
        assert shown == [SMALLEST_STEADY]  # looked at again, where two blocks of 100 would have gone backward
        look.vjp(torch.ones(200, 10), torch.arange(200))
        assert len(shown) == 1
    finally:
        handle.remove()


def test_a_network_that_does_not_work_in_bf16_is_searched_by_autocast(wrap):
    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3 * 64, 2)

        def forward(self, pixels):
            return self.linear(pixels.flatten(1) * torch.ones(192))  # float32, whatever the network is converted to

    classifier = wrap(Stubborn(), precision="bf16")
    assert classifier.searched is classifier.network
    pixels = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(classifier.look(pixels).logits, classifier.logits(pixels), atol=0.05)
    plain = wrap(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), precision="bf16")
    assert plain.searched is not plain.network
    assert next(plain.searched.parameters()).dtype == torch.bfloat16
    assert next(plain.network.parameters()).dtype == torch.float32


def test_a_look_gives_several_vjps(classifier):
    look = classifier.look(noise(classifier, 3))
    cotangent = cotangents(look.logits)
    first = look.vjp(cotangent)
    assert torch.allclose(look.vjp(2 * cotangent), 2 * first, rtol=1e-4, atol=1e-9)
    assert torch.equal(look.vjp(cotangent), first)


def test_the_callers_pixels_and_global_state_stay_as_they_were(classifier):
    pixels = noise(classifier, 20)
    before, state = pixels.clone(), torch.get_rng_state()
    classifier.look(pixels).vjp(torch.ones(20, len(classifier.card.classes)))
    classifier.logits(pixels)
    assert torch.equal(pixels, before)
    assert not pixels.requires_grad
    assert pixels.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


def test_a_gradient_can_be_had_under_no_grad(trained):
    with torch.no_grad():
        look = trained.classifier.look(trained.images[:2])
        assert look.vjp(torch.ones(2, 5)).any()
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


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_low_precision_only_searches(trained, precision):
    classifier = copy.copy(trained.classifier)
    classifier.precision = precision
    look = classifier.look(trained.images)
    exact = trained.classifier.logits(trained.images)
    assert torch.equal(classifier.logits(trained.images), exact)
    assert look.logits.dtype == look.vjp(exact).dtype == torch.float32
    assert not torch.equal(look.logits, exact)
    assert torch.allclose(look.logits, exact, rtol=0, atol=0.05 * float(exact.abs().max()))
