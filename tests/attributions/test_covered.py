"""Methods that cover parts of the picture, occlusion and RISE, against closed forms and captum."""

import copy

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from advcli.attributions import occlusion as occlusion_module
from advcli.attributions import rise as rise_module
from advcli.attributions._noise import SampleNoise
from advcli.core.scores import Target
from advcli.errors import UsageError
from advcli.models.view import View


def noise_of(count):
    return SampleNoise.of(0, [f"picture {place}" for place in range(count)], "covered")


def called_as(method):
    def call(classifier, pixels, classes=None, score="logit", **settings):
        classes = torch.zeros(len(pixels), dtype=torch.int64) if classes is None else classes
        return method(View(classifier, pixels), Target(classes, score), noise=noise_of(len(pixels)), **settings)

    return call


occlusion = called_as(occlusion_module.occlusion)
rise = called_as(rise_module.rise)


class Weighted(nn.Module):
    """Two logits: a weighted sum of the values, and nothing."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, pixels):
        value = (pixels * self.weight).sum((1, 2, 3))
        return torch.stack([value, 0 * value], 1)


def weighted(make_classifier, weight):
    return make_classifier(Weighted(weight), tuple(weight.shape[1:]))


def channel(values):
    """Weights of the first channel; the others do not count."""
    weight = torch.zeros(3, *np.shape(values))
    weight[0] = torch.tensor(values)
    return weight


def test_occlusion_of_a_linear_model_is_its_weights(make_classifier):
    weight = torch.randn(3, 6, 9, generator=torch.Generator().manual_seed(0))
    found = occlusion(weighted(make_classifier, weight), torch.ones(1, 3, 6, 9), patch=1, stride=1, fill="zero")
    assert torch.allclose(found[0], weight.sum(0).double(), atol=2e-6)


def test_occlusion_of_a_sum_counts_the_pixels_that_a_window_covers(make_classifier):
    ones, classifier = torch.ones(1, 3, 5, 5), weighted(make_classifier, channel(np.ones((5, 5), dtype=np.float32)))
    cut = occlusion(classifier, ones, patch=2, stride=2, fill="zero", windows="captum")[0]
    assert cut.tolist() == [[4, 4, 4, 4, 2]] * 4 + [[2, 2, 2, 2, 1]]
    assert (occlusion(classifier, ones, patch=2, stride=2, fill="zero") == 4).all()
    for windows in ("captum", "equal"):
        assert (occlusion(classifier, ones, patch=3, stride=2, fill="zero", windows=windows) == 9).all()


@pytest.mark.parametrize(("patch", "stride"), [(5, 3), (4, 4), (7, 2), (16, 1)])
@pytest.mark.parametrize("score", ["logit", "prob"])
def test_occlusion_is_captums_where_windows_are_cut_at_the_border(trained, patch, stride, score):
    network = copy.deepcopy(trained.exact_network)
    reference = captum.attr.Occlusion(network if score == "logit" else lambda x: network(x).double().softmax(1))
    expected = reference.attribute(
        trained.images[:7],
        sliding_window_shapes=(3, patch, patch),
        strides=(3, stride, stride),
        baselines=0.5,
        target=trained.labels[:7],
    )[:, 0]
    settings = {"patch": patch, "stride": stride, "fill": "grey", "windows": "captum"}
    found = occlusion(trained.exact, trained.images[:7], trained.labels[:7], score, **settings)
    assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


@pytest.mark.parametrize("fill", occlusion_module.Fill.__args__)
def test_a_window_over_all_is_the_fall_to_the_filling(trained, fill):
    found = occlusion(trained.classifier, trained.images[:3], trained.labels[:3], patch=16, stride=16, fill=fill)
    assert (found == found[:, :1, :1]).all()
    cover = occlusion_module._cover(trained.images[:3], fill, noise_of(3))
    fall = [
        trained.classifier.logits(pixels)[torch.arange(3), trained.labels[:3]] for pixels in (trained.images[:3], cover)
    ]
    assert torch.allclose(found[:, 0, 0], (fall[0] - fall[1]).double(), atol=1e-5)


def test_windows_are_a_seventh_of_the_picture_by_default():
    assert occlusion_module._spans(224, 32, 16, "equal") == [(16 * place, 16 * place + 32) for place in range(13)]
    assert occlusion_module._spans(10, 4, 4, "equal") == [(0, 4), (4, 8), (6, 10)]
    assert occlusion_module._spans(10, 4, 4, "captum") == [(0, 4), (4, 8), (8, 10)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"patch": 17}, "17 pixels does not fit into 16 x 16"), ({"patch": 4, "stride": 5}, "a stride of 5")],
)
def test_windows_that_do_not_fit_are_refused(trained, settings, message):
    with pytest.raises(UsageError, match=message):
        occlusion(trained.classifier, trained.images[:1], **settings)


WEIGHTS = [[4.0, 3.0], [2.0, 1.0]]


def test_rise_of_a_linear_model_is_known(make_classifier):
    ones, classifier = torch.ones(3, 3, 2, 2), weighted(make_classifier, channel(WEIGHTS))
    found = rise(classifier, ones, masks=3000, cells=2, smooth=False, centered=False)
    assert np.abs(found.mean(0).numpy() - [[7, 6.5], [6, 5.5]]).max() < 0.1
    found = rise(classifier, ones, masks=3000, cells=2, smooth=False)
    assert np.abs(found.mean(0).numpy() - [[2, 1.5], [1, 0.5]]).max() < 0.1


@pytest.mark.parametrize("size", [(16, 16), (8, 20), (5, 3)])
@pytest.mark.parametrize("centered", [False, True])
def test_rise_is_the_mean_score_weighted_by_the_masks(make_classifier, size, centered):
    generator = torch.Generator().manual_seed(0)
    weight, pixels = torch.randn(3, *size, generator=generator), torch.rand(2, 3, *size, generator=generator)
    found = rise(weighted(make_classifier, weight), pixels, masks=50, cells=3, visible=0.4, centered=centered)
    numbers = noise_of(2).uniform(torch.arange(2).repeat_interleave(50), torch.arange(50).repeat(2), 11)
    masks = rise_module._masks(numbers, 3, 0.4, size, smooth=True).view(2, 50, *size)
    scores = (masks[:, :, None] * pixels[:, None] * weight).sum((2, 3, 4))
    expected = (scores[:, :, None, None] * masks).sum(1) / masks.sum(1)
    expected = expected - scores.mean(1)[:, None, None] if centered else expected
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_masks_of_rise_show_as_much_as_they_are_told_and_move():
    numbers = noise_of(1).uniform(torch.zeros(2000, dtype=torch.int64), torch.arange(2000), 7 * 7 + 2)
    masks = rise_module._masks(numbers, 7, 0.3, (28, 28), smooth=True)
    assert 0 <= masks.min() <= masks.max() <= 1
    assert abs(float(masks.mean()) - 0.3) < 0.01
    assert float((masks.mean(0) - 0.3).abs().max()) < 0.05
    hard = rise_module._masks(numbers, 7, 0.3, (28, 28), smooth=False)
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(hard[:, 3::4, 3::4].flatten(1), (numbers[:, :49] < 0.3).double())


@pytest.mark.parametrize("method", [occlusion, rise])
def test_a_score_that_never_changes_leaves_a_map_without_evidence(make_classifier, method):
    found = method(weighted(make_classifier, torch.zeros(3, 8, 8)), torch.rand(2, 3, 8, 8), score="prob")
    assert not found.any()
