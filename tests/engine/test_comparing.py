"""Comparisons on a network whose attention is known: a patch that flips the class moves the maps onto itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from advcli.core.records import AttackRecord
from advcli.engine._attacking import Attacked
from advcli.engine._clean_maps import CleanMaps
from advcli.engine._comparing import Comparer
from advcli.engine._detecting import Detector
from advcli.engine._explaining import ExplainConfig, explain_cases
from advcli.models.card import Card, Preprocessing
from advcli.models.classifier import Classifier
from advcli.registry import parse_methods
from advcli.reports.detection_figures import TOP_PROBABILITY
from advcli.reports.roc import auroc
from advcli.runs.command import Case, Item
from advcli.runs.images import Clean, Image

SIDE, PATCH = 32, 10
CORNER = (slice(None), slice(SIDE - PATCH, SIDE), slice(SIDE - PATCH, SIDE))


def disc(seed):
    """A smooth bright disc in the upper left half of a grey picture."""
    draw = torch.Generator().manual_seed(seed)
    down, across = (float(8 + 6 * torch.rand((), generator=draw)) for _ in range(2))
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    height = torch.exp(-((rows - down) ** 2 + (columns - across) ** 2) / 40)
    noise = 0.02 * torch.randn(3, SIDE, SIDE, generator=draw)
    return (0.3 + 0.6 * height + noise).clamp(0, 1)


def board(pixels, rows, columns):
    """The picture with a checkered patch."""
    found = pixels.clone()
    checks = (torch.arange(PATCH)[:, None] + torch.arange(PATCH)) % 2
    found[:, rows : rows + PATCH, columns : columns + PATCH] = 0.2 + 0.6 * checks
    return (found * 255).round() / 255


@pytest.fixture(scope="module")
def classifier():
    """A network that was trained to tell pictures with a checkered patch from those without."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
    )  # fmt: skip
    steps = torch.optim.Adam(network.parameters(), 0.02)
    draw = np.random.default_rng(0)
    plain = torch.stack([disc(1000 + n) for n in range(32)])
    patched = torch.stack([board(one, *draw.integers(0, SIDE - PATCH, 2)) for one in plain])
    pixels, labels = torch.cat([plain, patched]), torch.arange(2).repeat_interleave(32)
    for _ in range(50):
        loss = nn.functional.cross_entropy(network(pixels), labels)
        steps.zero_grad()
        loss.backward()
        steps.step()
    assert loss < 0.1
    card = Card("net", "custom", "test", ("disc", "board"), Preprocessing((SIDE, SIDE), SIDE, (0.0,) * 3, (1.0,) * 3))
    return Classifier(network, card)


def attacked_images(classifier, count):
    """Discs with a checkered patch in the corner: what a patch attack would leave."""
    pixels = torch.stack([(disc(n) * 255).round() / 255 for n in range(count)])
    saved = torch.stack([board(one, SIDE - PATCH, SIDE - PATCH) for one in pixels])
    logits, after = classifier.logits(pixels), classifier.logits(saved)
    found = []
    for n in range(count):
        image = Image(Item(f"{n}.png"), (), f"{n:064}", 1, None, (SIDE, SIDE), (), None)
        clean = Clean(image, classifier, pixels[n], logits[n], 0, "folder")
        record = AttackRecord(
            **clean.facts, case="patch", misclassified=True, misclassified_as_saved=True,
            adversarial_prediction=clean.classes[int(after[n].argmax())],
        )  # fmt: skip
        found.append(Attacked(clean, Case("patch", {}), record, saved[n], after[n]))
    return found


def explanations(classifier, *names):
    config = ExplainConfig(tuple(parse_methods("attribution", names, "--explain")))
    return explain_cases(config, [classifier], "net")[0]


def comparer(after="both", batch_size=16):
    return Comparer(after, None, 0, batch_size, CleanMaps())


def test_the_top_region_moves_onto_the_patch(classifier):
    attacked = attacked_images(classifier, 12)
    assert {one.record.adversarial_prediction for one in attacked} == {"board"}
    compared = list(comparer().compare(classifier, attacked, explanations(classifier, "gradient")))
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[CORNER[1:]] = True
    for one in compared:
        same, own = one.record.regions
        assert (same.after, own.after) == ("same", "own")
        values = {row.metric: row for row in one.record.similarity if row.after == "own"}
        before, after = one.pairs[1].first.values, one.pairs[1].second.values
        assert (
            np.abs(after)[inside].sum() / np.abs(after).sum() > 2 * np.abs(before)[inside].sum() / np.abs(before).sum()
        )
        assert values["top_tenth_iou"].value < 0.2
        assert values["center_shift"].value > values["center_shift"].floor_noise
        assert own.box_after[2:] == (SIDE, SIDE)


def test_detect_finds_the_patch(classifier):
    attacked = attacked_images(classifier, 24)
    cases = explanations(classifier, "grad-cam")
    detector = Detector(("blur",), comparer())
    rows = [one.rows for one in detector.probe(classifier, attacked, cases)]
    scores = {}
    for name in ("clean", "adversarial"):
        told = [
            next(row for row in mine if row.explanation != TOP_PROBABILITY and row.metric == "ssim") for mine in rows
        ]
        scores[name] = -np.array([getattr(row, name) for row in told])
    area = auroc(scores["adversarial"], scores["clean"])
    assert area.interval()[0] > 0.7
    assert {row.explanation for row in rows[0]} == {"grad-cam", TOP_PROBABILITY}


@pytest.mark.parametrize("names", [("gradient", "smoothgrad:samples=3")])
def test_values_do_not_depend_on_company_or_batch(classifier, names):
    attacked = attacked_images(classifier, 5)
    cases = explanations(classifier, *names)
    whole = [one.record for one in comparer().compare(classifier, attacked, cases)]
    single = [
        one.record for each in reversed(attacked) for one in comparer("both", 1).compare(classifier, [each], cases)
    ]
    assert whole == single[::-1]
    together = Detector(("noise",), comparer()).probe(classifier, attacked, cases)
    assert together[3:] == Detector(("noise",), comparer()).probe(classifier, attacked[3:], cases)


def test_a_picture_that_did_not_change_has_equal_maps_and_says_so(classifier):
    (one,) = attacked_images(classifier, 1)
    still = Attacked(one.clean, one.case, one.record, one.clean.pixels, one.clean.logits)
    (found,) = comparer("same").compare(classifier, [still], explanations(classifier, "gradient"))
    assert "unmoved" in found.record.flags
    assert found.record.likeness == pytest.approx(1)
    assert all(row.value == row.floor_noise for row in found.record.similarity)


def test_clean_maps_are_made_once_for_all_attacks_on_an_image_and_then_forgotten(classifier):
    (one,) = attacked_images(classifier, 1)
    cases = tuple(Case(name, {}, payload=(place, None)) for name, place in (("a", 0), ("b", 0), ("other-model", 1)))
    clean = replace(one.clean, image=replace(one.clean.image, cases=cases))
    kept, made = CleanMaps(), []

    def explain(images):
        made.append(len(images))
        return [["map"] for _ in images]

    for left, case in zip((1, 0), cases[:2], strict=True):
        assert kept.of([clean, clean], explain) == [["map"], ["map"]]
        kept.release([replace(one, clean=clean, case=case)])
        assert len(kept) == left
    assert made == [1]


def test_what_is_kept_long_holds_on_to_no_neighbour_and_no_photograph(classifier):
    clean = attacked_images(classifier, 4)[2].clean
    whole = replace(clean, image=replace(clean.image, picture=np.zeros((900, 900, 3), np.uint8)))
    alone = whole.alone()
    assert alone.image.picture is None
    for name in ("pixels", "logits"):
        mine, shared = getattr(alone, name), getattr(whole, name)
        assert torch.equal(mine, shared)
        assert mine.untyped_storage().nbytes() == mine.nbytes < shared.untyped_storage().nbytes()
