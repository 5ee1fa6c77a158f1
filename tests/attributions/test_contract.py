"""What holds for every attribution in the folder, without naming any: shapes, company, and nothing left behind."""

import inspect

import pytest
import torch

from advcli.core.randomness import RowNoise
from advcli.core.scores import Score, score_cotangent
from advcli.errors import ContractError
from advcli.models.layers import pick_layer
from advcli.registry import implementation, names

NAMES = names("attribution")
SCORES = Score.__args__


@pytest.fixture(scope="module")
def explain(make_rows):
    """Call an attribution as the engine does; ``places`` say which streams of random numbers the rows have."""

    def call(name, classifier, pixels, target, places=None, **settings):
        made = implementation("attribution", name)
        rows = make_rows(torch.zeros(40, 3, 1, 1), torch.zeros(40, dtype=torch.int64))
        streams = rows[torch.arange(len(pixels)) if places is None else torch.tensor(places)]
        offered = {"layer": lambda: pick_layer(classifier, None), "noise": lambda: RowNoise(streams), "notes": dict}
        asked = inspect.signature(made).parameters
        return made(
            classifier, pixels, target, **{key: make() for key, make in offered.items() if key in asked}, **settings
        )

    return call


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.mark.parametrize("count", [1, 7, 33])
def test_a_map_is_one_float_per_pixel(trained, explain, name, count):
    maps = explain(name, trained.classifier, trained.images[:count], trained.labels[:count])
    assert maps.shape == (count, 16, 16)
    assert maps.dtype == torch.float32
    assert torch.isfinite(maps).all()
    assert maps.flatten(1).any(1).all()
    assert not maps.requires_grad


@pytest.mark.parametrize("score", SCORES)
def test_a_map_is_the_same_to_the_bit_in_any_batch(trained, explain, name, score):
    images, target = trained.images[:33], trained.labels[:33]
    maps = explain(name, trained.classifier, images, target, score=score)
    assert torch.equal(explain(name, trained.classifier, images, target, score=score), maps)
    for places in ([20], [5, 32, 0, 7, 8, 1, 30]):
        part = explain(name, trained.classifier, images[places], target[places], places, score=score)
        assert torch.equal(part, maps[places])


def test_the_classifier_stays_as_it_was(trained, explain, name):
    network = trained.classifier.network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    pixels, random = trained.images[:3].clone(), torch.get_rng_state()
    explain(name, trained.classifier, pixels, trained.labels[:3])
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
        assert not module.training
    for parameter in network.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(pixels, trained.images[:3])
    assert not pixels.requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


def test_the_classifier_stays_as_it_was_when_an_attribution_fails(trained, explain, name):
    with pytest.raises(ContractError):
        explain(name, trained.classifier, trained.images[:3] + 1, trained.labels[:3])
    assert not any(module._forward_hooks for module in trained.classifier.network.modules())


def test_a_map_can_be_had_under_no_grad(trained, explain, name):
    expected = explain(name, trained.classifier, trained.images[:3], trained.labels[:3])
    with torch.no_grad():
        found = explain(name, trained.classifier, trained.images[:3], trained.labels[:3])
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected)


def test_the_target_is_what_is_explained(trained, explain, name):
    first = explain(name, trained.classifier, trained.images, trained.labels)
    other = explain(name, trained.classifier, trained.images, (trained.labels + 1) % 5)
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))


def test_the_loss_falls_where_the_logarithm_of_the_probability_rises(trained, explain, name):
    signed = {"relu": False} if "relu" in inspect.signature(implementation("attribution", name)).parameters else {}
    images, target = trained.images[:5], trained.labels[:5]
    loss, logprob = (
        explain(name, trained.classifier, images, target, score=one, **signed) for one in ("loss", "logprob")
    )
    assert torch.equal(loss, -logprob)


def test_pixels_at_the_ends_of_their_range_are_explained_too(trained, explain, name):
    ends = torch.stack([torch.zeros(3, 16, 16), torch.ones(3, 16, 16), (torch.rand(3, 16, 16) > 0.5).float()])
    assert torch.isfinite(explain(name, trained.classifier, ends, trained.labels[:3])).all()
    look = trained.classifier.look(ends)
    assert torch.isfinite(score_cotangent(look.logits, trained.labels[:3], "prob")).all()
