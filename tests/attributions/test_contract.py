"""What holds for every attribution in the folder, without naming any: shapes, company, and nothing left behind."""

import importlib
import inspect

import pytest
import torch
from torch import nn

from advcli.attributions._run import Request, explain_batch, traits_of
from advcli.core.attribution import Traits
from advcli.core.scores import Score, Target
from advcli.errors import ContractError
from advcli.models.layers import pick_layer
from advcli.models.view import View
from advcli.registry import Method, implementation, names, parse_methods

NAMES = names("attribution")
SCORES = Score.__args__
DIGESTS = [f"picture {place}" for place in range(40)]
QUICK = {"rise": {"masks": 60}}  # for methods whose defaults take many passes


def asked(name, **settings):
    (method,) = parse_methods("attribution", [name], "--method")
    return Method("attribution", name, {**method.settings, **QUICK.get(name, {}), **settings})


def explained(name, classifier, pixels, target, places=None, score="logit", batch_size=None, **settings):
    """Explain as the engine does; ``places`` say which images these are, so that each has its own random numbers."""
    digests = [DIGESTS[place] for place in (range(len(pixels)) if places is None else places)]
    request = Request(asked(name, **settings), Target(target, score))
    (found,) = explain_batch(classifier, pixels, [request], seed=0, digests=digests, batch_size=batch_size)
    return found


def maps_of(*arguments, **settings):
    return torch.from_numpy(explained(*arguments, **settings).maps)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def subject(request, name):
    """A trained network that suits the method: a transformer for one that watches attention, else convolutions."""
    attention = traits_of(asked(name)).watches == "attention"
    return request.getfixturevalue("trained_transformer" if attention else "trained")


def looks_at_nothing(name):
    """Whether a method is a control that does not ask the network."""
    traits = traits_of(asked(name))
    return traits.class_free and traits.watches is None


def test_a_method_declares_itself(name):
    method = asked(name)
    traits = traits_of(method)
    assert isinstance(traits, Traits)
    assert (traits.watches == "layer") == method.asks_for("layer")
    assert set(traits.linear or {}) <= set(method.settings)
    assert list(inspect.signature(implementation("attribution", name)).parameters)[:2] == ["view", "target"]


def test_a_misspelt_trait_is_refused():
    traits = Traits()
    object.__setattr__(traits, "watches", "layers")  # the test run's type checks would refuse it before we do
    with pytest.raises(ContractError, match="'layers'"):
        traits.__post_init__()


@pytest.mark.parametrize("count", [1, 7, 33])
def test_a_map_is_one_finite_float_per_pixel(subject, name, count):
    found = explained(name, subject.classifier, subject.images[:count], subject.labels[:count])
    assert found.maps.shape == (count, 16, 16)
    assert found.maps.dtype == "float32"
    assert found.flags == ((),) * count
    assert all(values.shape == (count,) and values.dtype == "float64" for values in found.notes.values())


@pytest.mark.parametrize("score", SCORES)
def test_a_map_is_the_same_to_the_bit_in_any_batch(subject, name, score):
    images, target = subject.images[:33], subject.labels[:33]
    maps = maps_of(name, subject.classifier, images, target, score=score)
    assert torch.equal(maps_of(name, subject.classifier, images, target, score=score), maps)
    assert torch.equal(maps_of(name, subject.classifier, images, target, score=score, batch_size=5), maps)
    for places in ([20], [5, 32, 0, 7, 8, 1, 30]):
        part = maps_of(name, subject.classifier, images[places], target[places], places, score=score)
        assert torch.equal(part, maps[places])


@pytest.mark.parametrize("block", [1, 4])
def test_a_map_is_the_same_to_the_bit_in_any_batch_of_a_network_with_small_blocks(subject, wrap, name, block):
    classifier = wrap(subject.network, classes=5, size=16, block=block)
    maps = maps_of(name, classifier, subject.images[:6], subject.labels[:6])
    for places in ([3], [5, 0, 1]):
        part = maps_of(name, classifier, subject.images[places], subject.labels[places], places)
        assert torch.equal(part, maps[places])


def state_of(network):
    parameters = [(one.requires_grad, one.grad is None, one.clone()) for one in network.parameters()]
    hooks = [
        (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks), module.training)
        for module in network.modules()
    ]
    return parameters, hooks, [value.clone() for value in network.buffers()]


def assert_untouched(before, after):
    assert all(a[:2] == b[:2] and torch.equal(a[2], b[2]) for a, b in zip(before[0], after[0], strict=True))
    assert before[1] == after[1]
    assert all(torch.equal(a, b) for a, b in zip(before[2], after[2], strict=True))


def test_the_classifier_stays_as_it_was(subject, name):
    network = subject.classifier.network
    before, pixels, random = state_of(network), subject.images[:3].clone(), torch.get_rng_state()
    explained(name, subject.classifier, pixels, subject.labels[:3])
    assert_untouched(before, state_of(network))
    assert torch.equal(pixels, subject.images[:3])
    assert not pixels.requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


class Failing(nn.Module):
    """A network that fails when it is told to, halfway."""

    def __init__(self, network):
        super().__init__()
        self.network, self.fails = network, False

    def forward(self, pixels):
        features = self.network[:-3](pixels)
        if self.fails:
            raise MemoryError
        return self.network[-3:](features)


def test_the_classifier_stays_as_it_was_when_an_attribution_fails(subject, wrap, name):
    network = Failing(subject.network.network).eval()
    classifier = wrap(network, classes=5, size=16)
    if looks_at_nothing(name):
        return
    before, random = state_of(classifier.network), torch.get_rng_state()
    layers = (pick_layer(classifier, None),) if asked(name).asks_for("layer") else ()
    request = Request(asked(name), Target(subject.labels[:3]), layers)
    for module in classifier.network.modules():
        module.fails = True
    with pytest.raises(MemoryError):
        explain_batch(classifier, subject.images[:3], [request], seed=0, digests=DIGESTS[:3])
    assert_untouched(before, state_of(classifier.network))
    assert torch.equal(torch.get_rng_state(), random)
    with pytest.raises(ContractError):
        explained(name, subject.classifier, subject.images[:3, :, :7], subject.labels[:3])
    assert torch.is_grad_enabled()


def test_a_map_can_be_had_under_no_grad(subject, name):
    expected = maps_of(name, subject.classifier, subject.images[:3], subject.labels[:3])
    with torch.no_grad():
        found = maps_of(name, subject.classifier, subject.images[:3], subject.labels[:3])
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected)


def test_the_target_is_what_is_explained_unless_the_method_is_class_free(subject, name):
    first = maps_of(name, subject.classifier, subject.images, subject.labels)
    other = maps_of(name, subject.classifier, subject.images, (subject.labels + 1) % 5)
    same = [torch.equal(one, two) for one, two in zip(first, other, strict=True)]
    assert all(same) if traits_of(asked(name)).class_free else not any(same)


def test_the_map_of_the_loss_is_minus_that_of_the_log_probability_where_a_method_is_linear(subject, name):
    settings = traits_of(asked(name)).linear
    if settings is None:
        pytest.skip(f"{name} declares that it is not linear in the score")
    images, target = subject.images[:5], subject.labels[:5]
    loss, logprob = (
        maps_of(name, subject.classifier, images, target, score=one, **settings) for one in ("loss", "logprob")
    )
    assert torch.equal(loss, -logprob)


def test_pixels_at_the_ends_of_their_range_are_explained_too(subject, name):
    ends = torch.stack([torch.zeros(3, 16, 16), torch.ones(3, 16, 16), (torch.rand(3, 16, 16) > 0.5).float()])
    found = explained(name, subject.classifier, ends, subject.labels[:3])
    assert not any("not-finite" in flags for flags in found.flags)


def tiny(size, watches, transformer):
    """A network for pictures of any size, with a map of the picture's size in it, or with a token for each pixel."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if watches == "attention":
            return transformer(size, classes=2, patch=1, width=4, heads=2)
        layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
        nn.init.constant_(layers[0].bias, 0.5)  # a single pixel in a few channels may lie behind a ReLU otherwise
        return nn.Sequential(*layers)


@pytest.mark.parametrize("size", [(1, 1), (8, 20), (20, 8), (1, 6)])
def test_pictures_may_be_oblong_or_a_single_pixel(make_classifier, transformer, name, size):
    watches = traits_of(asked(name)).watches
    classifier = make_classifier(tiny(size, watches, transformer), size)
    pixels = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    refused = asked(name).refusal(classifier)
    if refused:
        assert size == (1, 1) or (watches == "attention" and 1 in size)
        assert watches in refused
        return
    target = torch.tensor([0, 1])
    found = explained(name, classifier, pixels, target)
    assert found.maps.shape == (2, *size)
    assert torch.equal(maps_of(name, classifier, pixels[1:], target[1:], [1])[0], torch.from_numpy(found.maps[1]))


def test_a_method_is_refused_with_a_reason_or_not_at_all(subject, wrap, name):
    assert asked(name).refusal(subject.classifier) is None
    flat = wrap(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)))
    refused = asked(name).refusal(flat)
    assert (refused is not None) == (traits_of(asked(name)).watches is not None)
    assert refused is None or "use a method that needs none, such as gradient" in refused


def test_a_second_use_of_a_method_draws_other_numbers(trained):
    first = Method("attribution", "smoothgrad", asked("smoothgrad").settings)
    second = Method("attribution", "smoothgrad", first.settings, occurrence=2)
    target = Target(trained.labels[:2])
    requests = [Request(first, target), Request(second, target), Request(first, Target(trained.labels[:2], "prob"))]
    found = explain_batch(trained.classifier, trained.images[:2], requests, seed=0, digests=DIGESTS[:2])
    assert not torch.equal(torch.from_numpy(found[0].maps), torch.from_numpy(found[1].maps))
    again = explain_batch(trained.classifier, trained.images[:2], requests[:1], seed=1, digests=DIGESTS[:2])
    assert not torch.equal(torch.from_numpy(found[0].maps), torch.from_numpy(again[0].maps))


class Counter:
    """Counts forward passes, backward passes, and backward passes that go on to the first layer."""

    def __init__(self, network):
        self.forward = self.backward = self.to_the_pixels = 0
        first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
        self.handles = [
            network.register_forward_hook(self._count_forward),
            first.register_forward_hook(lambda _module, _inputs, output: self._count(output, "to_the_pixels")),
        ]

    def _count_forward(self, _module, _inputs, output):
        self.forward += 1
        self._count(output, "backward")

    def _count(self, output, name):
        if output.requires_grad:
            output.register_hook(lambda _: setattr(self, name, getattr(self, name) + 1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


SHARING = ["gradient", "input-x-gradient", "grad-cam"]


def test_gradient_input_x_gradient_and_grad_cam_cost_one_forward_and_one_backward_pass(trained):
    target, layer = Target(trained.labels[:20]), pick_layer(trained.classifier, None)
    requests = [Request(asked(name), target, (layer,)) for name in SHARING]
    with Counter(trained.classifier.network) as counter:
        found = explain_batch(trained.classifier, trained.images[:20], requests, seed=0, digests=DIGESTS[:20])
    assert (counter.forward, counter.backward, counter.to_the_pixels) == (1, 1, 1)
    for name, one in zip(SHARING, found, strict=True):
        alone = maps_of(name, trained.classifier, trained.images[:20], trained.labels[:20])
        assert torch.equal(torch.from_numpy(one.maps), alone)


def test_requests_in_any_order_cost_one_backward_pass_per_target(trained):
    layer = pick_layer(trained.classifier, None)
    targets = [Target(trained.labels[:20], score) for score in SCORES]
    requests = [Request(asked(name), target, (layer,)) for name in SHARING for target in targets]
    with Counter(trained.classifier.network) as counter:
        explain_batch(trained.classifier, trained.images[:20], requests, seed=0, digests=DIGESTS[:20])
    assert (counter.forward, counter.backward) == (1, len(SCORES))


def test_grad_cam_alone_does_not_pay_for_the_pixels(trained):
    target, layer = Target(trained.labels[:20]), pick_layer(trained.classifier, None)
    with Counter(trained.classifier.network) as counter:
        explain_batch(
            trained.classifier,
            trained.images[:20],
            [Request(asked("grad-cam"), target, (layer,))],
            seed=0,
            digests=DIGESTS[:20],
        )
    assert (counter.forward, counter.backward, counter.to_the_pixels) == (1, 1, 0)


class Steep(nn.Module):
    """Two logits, the first above the second by so much that a probability is flat beyond float32."""

    def __init__(self, gap):
        super().__init__()
        self.gap = gap

    def forward(self, pixels):
        value = pixels.mean((1, 2, 3))
        return torch.stack([value + self.gap, 0 * value], 1)


@pytest.mark.parametrize(("gap", "flags"), [(5, ()), (60, ()), (200, ("underflow",)), (800, ("blank",))])
def test_a_map_that_float32_cannot_hold_is_not_called_blank(wrap, gap, flags):
    found = explained("gradient", wrap(Steep(gap)), torch.rand(1, 3, 8, 8), torch.tensor([0]), score="prob")
    assert found.flags == ((*flags, *(("saturated",) if gap > 5 else ())),)
    if not flags:
        expected = torch.tensor(-float(gap) - 0.5).double().exp() / 64  # of about the slope of a sigmoid far out
        assert 0.3 < float(found.maps.mean()) / float(expected) < 3


@pytest.mark.parametrize("score", ["prob", "loss", "logit"])
def test_half_precision_has_no_false_blanks(subject, wrap, name, score):
    low = wrap(subject.network, classes=5, size=16, precision="fp16")
    settings = {"relu": False} if "relu" in asked(name).settings else {}  # with its sign, so that nothing is cut off
    found = explained(name, low, subject.images, subject.labels, score=score, **settings)
    exact = explained(name, subject.classifier, subject.images, subject.labels, score=score, **settings)
    told = {flag for one in (found, exact) for flags in one.flags for flag in flags}
    assert not told & {"blank", "underflow", "not-finite"}
    pairs = zip(torch.from_numpy(found.maps), torch.from_numpy(exact.maps), strict=True)
    likeness = [float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]).double())[0, 1]) for a, b in pairs]
    assert sorted(likeness)[len(likeness) // 2] > 0.99


def test_maps_that_do_not_fit_are_refused(trained, monkeypatch):
    module = importlib.import_module("advcli.attributions.gradient")
    monkeypatch.setattr(module, "reduce_channels", lambda gradient, how: gradient[:, :, 0])
    with pytest.raises(ContractError, match="gradient gave maps"):
        explained("gradient", trained.classifier, trained.images[:2], trained.labels[:2])


def test_a_view_is_what_a_method_gets(trained):
    view = View(trained.classifier, trained.images[:2])
    made = implementation("attribution", "gradient")
    assert made(view, Target(trained.labels[:2])).dtype == torch.float64
