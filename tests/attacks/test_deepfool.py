"""DeepFool: exact on linear networks, as near as foolbox on others, and never stalled in front of a boundary."""

import copy
import warnings

import pytest
import torch
from torch import nn

from advcli.attacks.deepfool import DeepFool
from advcli.search.flow import drive

with warnings.catch_warnings():
    # foolbox 3.3.4 imports gaussian_filter from where scipy no longer wants it to be.
    warnings.filterwarnings("ignore", ".*scipy.ndimage", DeprecationWarning)
    import foolbox

ORDER = {"l2": 2.0, "linf": float("inf")}
NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


@pytest.fixture
def attacked(make_attempts):
    """Run an attack on every picture; outcomes in order."""

    def run(attack, classifier, images, label, **options):
        return drive(make_attempts(attack, classifier, images, label), **options)

    return run


def lengths(outcomes, images, norm):
    deltas = torch.stack([outcome.pixels for outcome in outcomes]) - images
    return deltas.flatten(1).norm(p=ORDER[norm], dim=1)


@NORMS
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("overshoot", [0.02, 0.1])
def test_one_step_leads_behind_the_nearest_boundary_of_a_linear_network(half_space, attacked, norm, classes, overshoot):
    problem = half_space(17, classes)
    outcomes = attacked(DeepFool(norm=norm, overshoot=overshoot), problem.classifier, problem.images, problem.label)
    nearest = problem.distances(norm)
    expected = (1 + overshoot) * nearest.amin(1)
    assert torch.allclose(lengths(outcomes, problem.images, norm).double(), expected, rtol=1e-5)
    for outcome, rival, length in zip(outcomes, nearest.argmin(1).tolist(), expected.tolist(), strict=True):
        assert outcome.reached
        assert int(outcome.logits.argmax()) == rival
        assert outcome.distance == pytest.approx(length, rel=1e-5)
        assert (outcome.forward_passes, outcome.backward_passes) == (2, classes - 1)


@NORMS
def test_two_candidates_are_the_label_and_the_second(half_space, attacked, norm):
    problem = half_space(17, 5)
    outcomes = attacked(DeepFool(norm=norm, candidates=2), problem.classifier, problem.images, problem.label)
    second = problem.logits(problem.images).topk(2).indices[:, 1]
    expected = 1.02 * problem.distances(norm).gather(1, second[:, None])[:, 0]
    # On its way to the second class, a row may cross the boundary with another one.
    assert (lengths(outcomes, problem.images, norm).double() <= expected * (1 + 1e-5)).all()
    assert all(outcome.backward_passes == 1 for outcome in outcomes)


def test_more_candidates_than_classes_are_all_classes(trained, attacked):
    images, label = trained.images[:9], trained.labels[:9]
    all_of_them, more = (attacked(DeepFool(candidates=count), trained.classifier, images, label) for count in (5, 50))
    for one, other in zip(all_of_them, more, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert one.backward_passes == other.backward_passes


@NORMS
def test_without_overshoot_a_row_still_crosses(half_space, attacked, norm):
    problem = half_space(17, 5)
    outcomes = attacked(DeepFool(norm=norm, overshoot=0.0), problem.classifier, problem.images, problem.label)
    assert all(outcome.reached for outcome in outcomes)
    expected = problem.distances(norm).amin(1)
    assert torch.allclose(lengths(outcomes, problem.images, norm).double(), expected, rtol=1e-3)


class Lifted(nn.Module):
    """A network whose logits are all larger by a number, so that float32 leaves little of the gaps between them."""

    def __init__(self, network, lift):
        super().__init__()
        self.network, self.lift = network, lift

    def forward(self, pixels):
        return self.network(pixels) + self.lift


@NORMS
def test_a_gap_of_rounding_errors_stalls_no_row(trained, attacked, wrap, norm):
    classifier = wrap(Lifted(copy.deepcopy(trained.network), 1000.0), classes=5, size=16)
    outcomes = attacked(DeepFool(norm=norm), classifier, trained.images, trained.labels)
    assert all(outcome.reached for outcome in outcomes)


@NORMS
def test_every_picture_is_misclassified_and_none_is_farther_than_with_foolbox(trained, attacked, norm):
    outcomes = attacked(DeepFool(norm=norm), trained.classifier, trained.images, trained.labels)
    assert all(outcome.reached for outcome in outcomes)
    assert all(outcome.reached_as_saved for outcome in outcomes)
    model = foolbox.PyTorchModel(trained.network, bounds=(0, 1), device="cpu")
    attack = foolbox.attacks.L2DeepFoolAttack() if norm == "l2" else foolbox.attacks.LinfDeepFoolAttack()
    reference = attack(model, trained.images, trained.labels, epsilons=None)[1]
    theirs = (reference - trained.images).flatten(1).norm(p=ORDER[norm], dim=1)
    ours = lengths(outcomes, trained.images, norm)
    assert ours.median() <= theirs.median()
    # foolbox adds 1e-4 to every step, a little in l2 and much in linf.
    assert ((ours / theirs) < 1.05).float().mean() > 0.9


def test_a_misclassified_picture_is_its_own_nearest(trained, attacked):
    outcomes = attacked(DeepFool(), trained.classifier, trained.images[:3], (trained.labels[:3] + 1) % 5)
    for outcome, image in zip(outcomes, trained.images[:3], strict=True):
        assert torch.equal(outcome.pixels, image)
        assert outcome.distance == 0
        assert outcome.backward_passes == 0


class Blind(nn.Module):
    """A network that answers the same whatever it sees."""

    def forward(self, pixels):
        return (pixels * 0).sum((1, 2, 3))[:, None] + torch.tensor([1.0, 0.0, -1.0])


def test_a_row_without_gradient_ends_where_it_is(wrap, attacked):
    images = torch.full((2, 3, 8, 8), 0.5)
    outcomes = attacked(DeepFool(), wrap(Blind(), classes=3), images, torch.zeros(2, dtype=torch.int64))
    for outcome in outcomes:
        assert not outcome.reached
        assert outcome.steps == 1
        assert torch.equal(outcome.pixels, images[0])


@NORMS
def test_a_perturbation_far_below_a_level_is_saved_too(wrap, attacked, norm):
    linear = nn.Linear(192, 2)
    linear.weight.data = torch.stack([torch.ones(192), -torch.ones(192)])
    images = torch.full((1, 3, 8, 8), 128 / 255)
    lead = 192 * 2 * 0.01 / 255  # a hundredth of a level of every value is in the way
    linear.bias.data = torch.tensor([lead - 2 * 192 * 128 / 255, 0.0])
    (outcome,) = attacked(DeepFool(norm=norm), wrap(nn.Sequential(nn.Flatten(), linear)), images, torch.tensor([0]))
    assert outcome.reached
    assert (outcome.pixels - images).abs().max() < 0.1 / 255
    assert outcome.reached_as_saved
    assert (outcome.saved - images).abs().max() < 3 / 255


@NORMS
def test_pixels_stay_in_their_range(half_space, attacked, wrap, norm):
    linear = nn.Linear(192, 2)
    linear.weight.data = torch.stack([torch.ones(192), -torch.ones(192)])
    linear.bias.data = torch.tensor([-2 * 192 * 0.04, 0.0])
    images = torch.zeros(1, 3, 8, 8)
    images[0, :, :4] = 0.2  # half of the picture is black already
    outcomes = attacked(DeepFool(norm=norm), wrap(nn.Sequential(nn.Flatten(), linear)), images, torch.tensor([0]))
    assert outcomes[0].reached
    assert outcomes[0].pixels.min() == 0
