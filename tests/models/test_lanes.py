"""Blocks side by side: the same bits as one after another, and only where nothing else could see the difference."""

import copy
import os
import threading

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from advcli.models.classifier import Classifier
from advcli.models.lanes import lanes, one_by_one, side_by_side
from advcli.models.view import View

pytestmark = pytest.mark.usefixtures("two_threads")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def serial(classifier):
    other = copy.copy(classifier)
    other._side_by_side = False
    return other


def noise(count, seed=0):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def plain():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("count", [32, 75, 150])
def test_logits_and_gradients_are_the_same_to_the_bit(cifar_classifier, precision, count):
    classifier = copy.copy(cifar_classifier)
    classifier.precision, classifier._side_by_side = precision, None
    other, pixels = serial(classifier), noise(count)
    look, there = classifier.look(pixels), other.look(pixels)
    assert len(look.blocks) % 2 == 0
    assert look.each is side_by_side
    assert there.each is one_by_one
    cotangent = torch.randn(count, 10, generator=torch.Generator().manual_seed(1))
    assert torch.equal(look.logits, there.logits)
    assert torch.equal(look.vjp(cotangent), there.vjp(cotangent))
    assert torch.equal(classifier.logits(pixels), other.logits(pixels))
    views = [View(one, pixels, gradient=True) for one in (classifier, other)]
    assert torch.equal(*(view.gradient(cotangent) for view in views))


@pytest.mark.parametrize("block", [1, 16])
def test_a_sweep_gives_the_same_bits_and_order(make_card, block):
    classifier = Classifier(plain(), make_card(10, 32), block=block)
    pixels = noise(3)

    def versions(rows, indices):
        return pixels[rows] * (1 + indices).view(-1, 1, 1, 1) / 50

    def gradients(one):
        parts = [
            (part.rows, part.indices, part.gradient(torch.ones(len(part.rows), 10)))
            for part in one.sweep(pixels, 50, versions)
        ]
        return [torch.cat(column) for column in zip(*parts, strict=True)]

    found, expected = gradients(classifier), gradients(serial(classifier))
    orders = [torch.argsort(rows * 50 + indices) for rows, indices, _ in (found, expected)]
    assert torch.equal(found[2][orders[0]], expected[2][orders[1]])
    for row in range(3):
        assert found[1][found[0] == row].tolist() == list(range(50))


def test_blocks_are_on_different_threads_at_the_same_time():
    meeting = threading.Barrier(2, timeout=10)
    assert side_by_side(lambda _part: meeting.wait() >= 0, range(4)) == [True] * 4
    assert set(side_by_side(lambda _part: torch.get_num_threads(), range(8))) == {1}
    assert torch.get_num_threads() == 2


def test_a_thread_that_begins_later_has_all_cores():
    side_by_side(abs, range(2))
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [2]


def test_what_a_block_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda part: 1 / part, [1, 0, 2])


class Own(nn.Identity):
    """A module of unknown code."""


class Counting(TorchFunctionMode):
    """Sees what this thread does."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def test_only_a_network_of_known_code_that_nobody_watches_has_lanes():
    network = plain()
    assert lanes(network) == 2
    assert lanes(nn.Sequential(network, Own())) == 1
    assert lanes(torch.fx.symbolic_trace(network)) == 1
    for register in (network.register_forward_hook, network[0].register_forward_pre_hook):
        handle = register(lambda *_: None)
        assert lanes(network) == 1
        handle.remove()
    with Counting():
        assert lanes(network) == 1
    network[1].forward = lambda pixels: pixels
    assert lanes(network) == 1


def test_one_thread_has_one_lane():
    torch.set_num_threads(1)
    assert lanes(plain()) == 1


class Counted(nn.Identity):
    """Gives other bits on one core than on two."""

    __module__ = "torch.nn"

    def forward(self, logits):
        return logits * (1 + torch.get_num_threads() * 2**-20)


def test_a_network_whose_bits_depend_on_the_cores_goes_block_by_block(make_card):
    classifier = Classifier(nn.Sequential(plain(), Counted()), make_card(10, 32))
    assert classifier.lanes == 2
    pixels = noise(64)
    logits = classifier.look(pixels).logits
    assert classifier.lanes == 1
    assert torch.equal(logits[:20], classifier.look(pixels[:20]).logits)


def test_a_random_network_goes_block_by_block(make_card):
    noisy = type("Noisy", (nn.Identity,), {"__module__": "torch.nn", "forward": lambda _, x: x + torch.rand(len(x), 1)})
    classifier = Classifier(nn.Sequential(plain(), noisy()), make_card(10, 32))
    assert classifier.look(noise(64)).each is one_by_one


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    side_by_side(abs, range(2))
    child = os.fork()
    if child == 0:
        os._exit(0 if side_by_side(abs, [-3, 4]) == [3, 4] else 1)
    assert os.waitpid(child, 0)[1] == 0
