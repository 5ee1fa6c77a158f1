"""What explanations are graded by, against closed forms."""

import numpy as np
import pytest
import torch
from torch import nn

from advcli.core.scores import Target
from advcli.metrics.faithfulness import areas, counts_of, curves
from advcli.metrics.infidelity import falls, infidelity, squares
from advcli.metrics.pointing import box_mask, pointing
from advcli.metrics.randomization import cascade
from advcli.metrics.sensitivity import max_sensitivity

WEIGHTS = np.array([[4.0, 3.0], [2.0, 1.0]])
DIGESTS = ["a", "b", "c"]


class Additive(nn.Module):
    """Two classes; the probability of the first is 0.1 plus 0.08 times a weighted sum of the first channel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(WEIGHTS, dtype=torch.float32), requires_grad=False)

    def forward(self, pixels):
        share = 0.1 + 0.08 * (pixels[:, 0] * self.weight).sum((1, 2))
        return torch.stack([share.log(), (1 - share).log()], 1)


@pytest.mark.parametrize(("order", "deletion"), [(-WEIGHTS, 0.375), (WEIGHTS, 0.625)])
def test_deletion_and_insertion_of_an_additive_model_are_known(wrap, order, deletion):
    classifier, ones = wrap(Additive(), size=2), torch.ones(1, 3, 2, 2)
    ranks = order.ravel().argsort().argsort().reshape(1, 2, 2)
    counts, first = counts_of(4, 20), torch.tensor([0])
    assert counts.tolist() == [0, 1, 2, 3, 4]
    gone = areas(curves(classifier, ones, torch.zeros_like(ones), ranks, counts, first), counts)
    come = areas(curves(classifier, torch.zeros_like(ones), ones, ranks, counts, first), counts)
    assert gone[0] == pytest.approx(0.1 + 0.8 * deletion, abs=1e-6)
    assert come[0] == pytest.approx(0.1 + 0.8 * (1 - deletion), abs=1e-6)


def test_areas_use_the_true_shares_of_the_pixels():
    counts = counts_of(7, 3)
    assert counts.tolist() == [0, 2, 5, 7]
    assert areas(np.array([counts / 7]), counts)[0] == pytest.approx(0.5)


def test_a_curve_does_not_depend_on_the_other_images(trained):
    ranks = np.stack([np.random.default_rng(place).permutation(256).reshape(16, 16) for place in range(5)])
    images, labels, counts = trained.images[:5], trained.labels[:5], counts_of(256, 6)
    found = curves(trained.classifier, images, images * 0, ranks, counts, labels)
    alone = curves(trained.classifier, images[3:4], images[3:4] * 0, ranks[3:4], counts, labels[3:4])
    assert (found[3:4] == alone).all()


def test_squares_lie_inside_and_belong_to_the_image():
    regions = squares(0, DIGESTS, (16, 24))
    assert regions.shape == (3, 50, 16, 24)
    sides = np.sqrt(regions.sum((2, 3)))
    assert set(sides.ravel()) <= set(range(2, 9))
    assert (squares(0, DIGESTS[1:], (16, 24)) == regions[1:]).all()
    assert regions.any(1).mean() > 0.9


def test_a_map_that_is_the_model_has_no_infidelity(half_space):
    problem = half_space(3)
    cover = torch.zeros_like(problem.images)
    regions, target = squares(0, DIGESTS, (8, 8)), Target(problem.label)
    fell = falls(problem.classifier, problem.images, cover, target, regions)
    weight = problem.weight[problem.label].view(3, 3, 8, 8)
    maps = (weight * problem.images).sum(1).float().numpy()
    noise = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    for place in range(3):
        assert infidelity(maps[place], regions[place], fell[place]) < 1e-9
        assert infidelity(1000 * maps[place], regions[place], fell[place]) < 1e-9
        assert infidelity(-maps[place], regions[place], fell[place]) == 1
        assert infidelity(noise, regions[place], fell[place]) > 0.3
        assert infidelity(0 * maps[place], regions[place], fell[place]) == 1
    assert infidelity(maps[0], regions[0], 0 * fell[0]) is None


def test_max_sensitivity_of_known_maps():
    pixels = torch.full((3, 3, 4, 4), 0.5)
    one = np.ones((3, 4, 4), dtype=np.float32)
    assert max_sensitivity(lambda _: one, pixels, one, 0, DIGESTS).tolist() == [0, 0, 0]
    assert np.isnan(max_sensitivity(lambda _: one, pixels, 0 * one, 0, DIGESTS)).all()
    found = max_sensitivity(lambda moved: moved[:, 0].numpy(), pixels, 0.5 * one, 0, DIGESTS, radius=0.1)
    assert ((found > 0.08) & (found < 0.2)).all()  # of uniform noise 0.1 / sqrt(3) / 0.5 on average
    alone = max_sensitivity(lambda moved: moved[:, 0].numpy(), pixels[:1], 0.5 * one[:1], 0, DIGESTS[1:2], radius=0.1)
    assert alone[0] == found[1]


def test_pointing_asks_where_the_evidence_is():
    values = np.array([[0, 3, -9], [1, 0, 0]], dtype=np.float32)
    inside = np.array([[False, True, True], [False, False, False]])
    assert pointing(values, inside) == {"pointing": 1, "mass_inside": 0.75, "area_inside": pytest.approx(1 / 3)}
    assert pointing(values, ~inside)["pointing"] == 0
    assert set(pointing(-np.abs(values), inside).values()) == {None}
    assert set(pointing(values, inside & False).values()) == {None}


def test_boxes_are_carried_from_the_photograph_to_the_map():
    mask = box_mask([(40, 0, 60, 20)], (20, 0, 100, 80), (4, 4))  # a crop of 80 x 80, pixels of 20 x 20
    assert np.argwhere(mask).tolist() == [[0, 1]]
    both = box_mask([(40, 0, 60, 20), (80, 60, 500, 500)], (20, 0, 100, 80), (4, 4))
    assert np.argwhere(both).tolist() == [[0, 1], [3, 3]]
    assert not box_mask([(0, 0, 19, 80)], (20, 0, 100, 80), (4, 4)).any()


def test_a_cascade_draws_every_parameter_anew_from_the_top_and_leaves_the_model_alone(trained):
    before = {name: value.clone() for name, value in trained.classifier.network.state_dict().items()}
    hooks = [len(module._forward_pre_hooks) for module in trained.classifier.network.modules()]
    changed, logits = [], []
    for step in cascade(trained.classifier, 0):
        now = dict(step.classifier.network.named_parameters())
        changed.append({name.partition(".")[0] for name in now if not torch.equal(now[name], before[name])})
        logits.append(step.classifier.logits(trained.images[:4]))
    assert changed == [{"11"}, {"6", "11"}, {"3", "6", "11"}, {"0", "3", "6", "11"}]
    assert all(torch.equal(value, before[name]) for name, value in trained.classifier.network.state_dict().items())
    assert [len(module._forward_pre_hooks) for module in trained.classifier.network.modules()] == hooks
    again = [step.classifier.logits(trained.images[:4]) for step in cascade(trained.classifier, 0)]
    assert all(torch.equal(one, two) for one, two in zip(logits, again, strict=True))
    other = [step.classifier.logits(trained.images[:4]) for step in cascade(trained.classifier, 1)]
    assert not torch.equal(logits[-1], other[-1])


def test_a_cascade_has_at_most_as_many_steps_as_asked_for(trained):
    assert [step.share for step in cascade(trained.classifier, 0, steps=2)] == [0.5, 1]
    assert [step.layer for step in cascade(trained.classifier, 0, steps=1)] == ["0"]


class Tokens(nn.Module):
    """Attention, whose parameters belong to modules that are never called, with a token of the network's own."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, pixels):
        tokens = self.stem(pixels).flatten(2).mT
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        return self.head(self.attention(tokens, tokens, tokens)[0][:, 0])


def test_a_cascade_reaches_the_parameters_of_attention_and_of_tokens(wrap):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = wrap(Tokens())
        nn.init.normal_(classifier.network.attention.in_proj_bias)
        nn.init.normal_(classifier.network.attention.out_proj.bias)
    before = {name: value.clone() for name, value in classifier.network.named_parameters()}
    layers = []
    for step in cascade(classifier, 0):
        layers.append(step.layer)
        now = dict(step.classifier.network.named_parameters())
    assert not any(torch.equal(now[name], value) for name, value in before.items())
    assert layers == ["head", "attention", "stem", ""]
