"""Attacks on detectors: pictures that stay adversarial, inside the ball, and hold as still as clean ones."""

import numpy as np
import pytest
import torch
from torch import nn

from advcli.attacks.pgd import Pgd
from advcli.core.norms import BALLS
from advcli.core.randomness import RowNoise, key
from advcli.core.records import AttackRecord
from advcli.engine._adapting import Adapter, refusal
from advcli.engine._attacking import Attacked
from advcli.engine._clean_maps import CleanMaps
from advcli.engine._comparing import Comparer
from advcli.engine._detecting import Detector
from advcli.engine._explaining import ExplainConfig, explain_cases
from advcli.engine._likeness import ProbeComparison
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.registry import parse_methods
from advcli.runs.command import Case, Item
from advcli.runs.images import Clean, Image
from advcli.search.attempt import Attempt
from advcli.search.config import Cell
from advcli.search.flow import drive

SIDE, COUNT = 12, 20
EPS = {"linf": 12 / 255, "l2": 0.8, "l1": 10.0}
ATTACKS = {"linf": Pgd("linf", steps=20), "l2": Pgd("l2", steps=20), "l1": Pgd("l1", steps=20)}
METHODS = ("gradient", "gradient:reduce=l2", "input-x-gradient", "grad-cam:relu=false", "hires-cam:relu=false")


def network(activation):
    """A random network whose classes are about equally frequent among the pictures."""
    torch.manual_seed(3)
    made = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), activation(), nn.Conv2d(8, 8, 3, padding=1), activation(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 3),
    )  # fmt: skip
    with torch.no_grad():
        made[-1].bias -= made((pictures() - 0.5) / 0.25).mean(0)
    return made


def classifier_of(activation=nn.ReLU):
    card = Card("net", "custom", "test", ("a", "b", "c"), Preprocessing((SIDE, SIDE), SIDE, (0.5,) * 3, (0.25,) * 3))
    return Classifier(network(activation), card)


@pytest.fixture(scope="module")
def classifier():
    return classifier_of()


def pictures(count=COUNT):
    draw = np.random.default_rng(0)
    return torch.from_numpy((draw.integers(0, 256, (count, 3, SIDE, SIDE)) / 255).astype(np.float32))


def attacked(classifier, norm="linf"):
    pixels = pictures()
    logits = classifier.logits(pixels)
    labels = logits.argmax(1).tolist()
    attempts = [
        Attempt(classifier, ATTACKS[norm], one, label, eps=EPS[norm], key=key(0, str(n), "pgd"))
        for n, (one, label) in enumerate(zip(pixels, labels, strict=True))
    ]
    cell = Cell(parse_methods("attack", [f"pgd:norm={norm}"], "--attack")[0], norm, None, "none")
    found = []
    for n, one in enumerate(drive(attempts)):
        image = Image(Item(f"{n}.png"), (), f"{n:064}", 1, None, (SIDE, SIDE), (), None)
        clean = Clean(image, classifier, pixels[n], logits[n], labels[n], "folder")
        record = AttackRecord(
            **clean.facts, case="attack", norm=norm, eps=EPS[norm], misclassified=one.misclassified,
            misclassified_as_saved=one.misclassified_as_saved,
            adversarial_prediction=clean.classes[int(one.saved_logits.argmax())],
        )  # fmt: skip
        found.append(Attacked(clean, Case("attack", {}, (), (0, cell)), record, one.saved, one.saved_logits))
    assert sum(one.record.misclassified_as_saved for one in found) >= 10
    return found


def explanations(classifier, *names):
    return explain_cases(ExplainConfig(tuple(parse_methods("attribution", names, "--explain"))), [classifier], "net")[0]


def clean_of(classifier, pixels):
    logits = classifier.logits(pixels)
    items = [Image(Item(f"{n}.png"), (), f"{n:064}", 1, None, (SIDE, SIDE), (), None) for n in range(len(pixels))]
    return [Clean(one, classifier, pixels[n], logits[n], 0, "folder") for n, one in enumerate(items)]


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("probe", ["blur", "noise"])
def test_the_gradient_of_the_likeness_is_its_derivative(method, probe):
    smooth = classifier_of(nn.Tanh)  # whose second derivative is its own
    case = explanations(smooth, method)[0] if method else None
    pixels = 0.3 + 0.4 * pictures(4)
    clean, comparison = clean_of(smooth, pixels), ProbeComparison(probe, case, None)

    def ask(some):
        return comparison.of(smooth, clean, some, RowNoise.of(0, [one.image.sha256 for one in clean], "adaptive"))

    alike = ask(pixels)
    gradient = alike.gradient()
    along = gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    step = 4e-3
    rise = (ask(pixels + step * along).values - ask(pixels - step * along).values) / (2 * step)
    slope = (gradient * along).flatten(1).sum(1).double()
    assert rise.tolist() == pytest.approx(slope.tolist(), rel=0.05)


@pytest.mark.parametrize("method", [*METHODS, "grad-cam", "layer-cam"])
def test_the_likeness_is_that_of_the_maps_that_are_reported(classifier, method):
    pixels, cases = pictures(4), explanations(classifier, method)
    clean = clean_of(classifier, pixels)
    comparer = Comparer("same", None, 0, 16, CleanMaps())
    noise = RowNoise.of(0, [one.image.sha256 for one in clean], "probe")
    alike = ProbeComparison("blur", cases[0], None).of(classifier, clean, pixels, noise)
    own = [classifier.logits(pixels).argmax(1).tolist()]
    sides = [comparer.explained(clean, some.detach(), cases, own) for some in (pixels, alike.second.pixels)]
    expected = [
        np.corrcoef(*(maps[row][0].values.astype(np.float64).ravel() for maps in sides))[0, 1] for row in range(4)
    ]
    assert alike.values.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("norm", list(EPS))
@pytest.mark.parametrize("method", ["grad-cam", "gradient", None])
def test_what_hides_is_misclassified_inside_the_ball_and_on_the_grid(classifier, method, norm):
    cases, found = explanations(classifier, method or "gradient"), attacked(classifier, norm)
    hidden = Adapter(0, None).pictures(classifier, found, "blur", cases[0] if method else None)
    assert [one is not None for one in hidden] == [one.record.misclassified_as_saved for one in found]
    for one, picture in zip(found, hidden, strict=True):
        if picture is not None:
            assert int(classifier.logits(picture[None]).argmax()) != one.clean.label
            assert float(BALLS[norm].size((picture - one.clean.pixels)[None])) <= EPS[norm] * (1 + 1e-5)
            assert torch.equal((picture * 255).round() / 255, picture)


def test_maps_of_what_hides_hold_as_still_as_those_of_clean_pictures(classifier):
    cases, found = explanations(classifier, "gradient", "smoothgrad:samples=2"), attacked(classifier)
    comparer = Comparer("same", None, 0, 16, CleanMaps())
    told = Detector(("blur",), comparer, Adapter(0, None)).probe(classifier, found, cases)
    rows = [row for one in told for row in one.rows if row.adaptive is not None]
    assert {row.explanation for row in rows} == {"gradient", "top-probability"}  # the other has no one look
    assert refusal(cases[1].payload[1].method) is not None

    def below(side, metric, sign):
        mine = [row for row in rows if row.metric == metric]
        return np.mean([max(0.0, sign * (row.clean - getattr(row, side))) for row in mine])

    for metric, sign in (("spearman", 1), ("change", -1)):
        assert below("adaptive", metric, sign) < 0.5 * below("adversarial", metric, sign)
    names = {name for one in told for name in one.pictures}
    assert names == {"adaptive-gradient-blur", "adaptive-top-probability-blur"}


def test_what_hides_does_not_depend_on_company(classifier):
    cases, found = explanations(classifier, "gradient"), attacked(classifier)
    whole = Adapter(0, None).pictures(classifier, found, "noise", cases[0])
    alone = [Adapter(0, None).pictures(classifier, [one], "noise", cases[0])[0] for one in found[:6]]
    for one, other in zip(whole, alone, strict=False):
        assert (one is None and other is None) or torch.equal(one, other)
