"""Pictures of results: which there are, what they hold, and that captions say what is true."""

import io

import numpy as np
import pytest

from advcli.core.records import AttackRecord, CompareRecord, MapRecord, SimilarityRow
from advcli.figures import attack_pictures as attack
from advcli.figures import compare_pictures as compare
from advcli.figures import map_pictures as maps
from advcli.figures.colors import color
from advcli.figures.overlays import Photo
from advcli.figures.perturbations import difference
from advcli.figures.wording import eps_text, said, short, subtitle, truth
from advcli.metrics.regions import top_masks

BEFORE = np.random.default_rng(0).integers(20, 230, (32, 32, 3), dtype=np.uint8)
AFTER = BEFORE + np.random.default_rng(1).integers(0, 9, (32, 32, 3), dtype=np.uint8)
MAP = np.random.default_rng(2).normal(size=(32, 32)).astype(np.float32)
FACTS = {
    "item": "cat/0000.png",
    "case": "pgd-8_255",
    "model": "net",
    "label": "cat",
    "label_source": "folder",
    "prediction": "cat",
    "probability": 0.98,
}
ATTACKED = {
    "method": "pgd",
    "norm": "linf",
    "eps": 8 / 255,
    "adversarial_prediction": "dog",
    "adversarial_probability": 0.7,
    "misclassified_as_saved": True,
    "linf_as_saved": 8 / 255,
    "l2_as_saved": 0.87,
}


def test_an_attack_has_its_pictures_and_a_panel_only_if_asked_for():
    record = AttackRecord(**FACTS, **ATTACKED)
    pictures = attack.attack_pictures(lambda: BEFORE, lambda: AFTER, record, panel=True)
    assert list(pictures) == ["original", "adversarial", "difference", "panel"]
    assert np.array_equal(pictures["original"](), BEFORE)
    assert np.array_equal(pictures["adversarial"](), AFTER)
    assert np.array_equal(pictures["difference"](), difference(BEFORE, AFTER, 8)[0])
    assert pictures["panel"]().shape[2] == 3
    assert "panel" not in attack.attack_pictures(lambda: BEFORE, lambda: AFTER, record, panel=False)


def test_the_tiles_of_an_attack_say_class_label_magnification_and_distance():
    original, change, adversarial = attack.attack_tiles(BEFORE, AFTER, AttackRecord(**FACTS, **ATTACKED))
    assert original.lines == ("cat 0.98", "is cat")
    assert (change.title, change.lines[0]) == ("perturbation, 15.9 times", "linf 8/255, l2 0.87")
    assert (adversarial.title, adversarial.lines, adversarial.emphasis) == (
        "adversarial, pgd",
        ("dog 0.70", "is cat"),
        "bad",
    )
    held = AttackRecord(**{**FACTS, **ATTACKED, "misclassified_as_saved": False, "label_source": "predicted"})
    _, change, adversarial = attack.attack_tiles(BEFORE, BEFORE, held)
    assert change.title == "no perturbation"
    assert (adversarial.lines[1], adversarial.emphasis) == ("label unknown", "good")


def test_the_title_of_a_panel_names_label_model_case_and_target():
    record = AttackRecord(**FACTS, **ATTACKED, target="dog")
    assert attack.attack_subtitle(record) == "is cat  ·  net  ·  pgd-8_255  ·  target dog"


def test_an_explanation_has_its_map_its_overlay_and_what_is_asked_for():
    record = MapRecord(**FACTS, method="gradient", score="logit", explained="cat")
    photo = Photo.cropped(np.zeros((300, 400, 3), dtype=np.uint8), (32, 32), 32)
    pictures = maps.map_pictures(BEFORE, MAP, record, photo=photo, panel=True, array=True)
    assert list(pictures) == ["original", "map", "overlay", "npy", "panel"]
    assert pictures["map"]().shape == (32, 32, 3)
    assert pictures["overlay"]().shape == (300, 400, 3)
    assert np.array_equal(np.load(io.BytesIO(pictures["npy"]())), MAP)
    assert list(maps.map_pictures(BEFORE, MAP, record, panel=False, array=False)) == ["original", "map", "overlay"]


def test_every_map_has_a_color_bar_with_numbers_and_says_where_its_scale_was_cut():
    tile = maps.map_tile(MAP, 2.0, "gradient", ("for cat",))
    assert (tile.bar.high, tile.bar.middle, tile.bar.low) == ("2", "0", "-2")
    assert tile.lines == ("for cat", f"cut at 2, largest {short(float(np.abs(MAP).max()))}")
    tile = maps.map_tile(np.abs(MAP), 5.0, "grad-cam", ())
    assert (tile.bar.middle, tile.bar.low, tile.lines) == ("", "0", ("scale: whole range",))
    blank = maps.map_tile(np.zeros((8, 8), dtype=np.float32), 0, "gradient", ())
    assert (blank.bar, blank.lines) == (None, ("no evidence (blank)",))


def test_panels_of_several_explanations_have_a_row_each():
    record = MapRecord(**FACTS, method="gradient", score="logit", explained="cat", layer="layer3")
    one, two = (maps.map_panel(BEFORE, [(MAP, record)] * count) for count in (1, 2))
    assert two.shape[0] > 1.7 * one.shape[0]
    assert two.shape[1] == one.shape[1]


def explained(before, after, name="ig", score="logit"):
    """The maps of one explanation as the pictures take them."""
    tops = [top_masks(values, (0.1,))[0] for values in (before, after)]
    return compare.Explanation(name, name.removesuffix("-prob"), score, before, after, *tops, explained="cat")


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_maps_before_and_after_are_drawn_on_one_scale(scale):
    rows = [SimilarityRow(explanation="ig", score="logit", after="same", metric="ssim", value=0.5)]
    record = CompareRecord(**FACTS, **ATTACKED, similarity=tuple(rows), explained_before="cat", explained_after="cat")
    before, after = MAP.clip(-1, 1), scale * MAP.clip(-1, 1)
    pictures = compare.compare_pictures(BEFORE, AFTER, [explained(before, after)], record, panel=True)
    assert list(pictures) == ["original", "adversarial", "difference", "ig.before", "ig.after", "panel", "rows"]
    assert np.array_equal(pictures["ig.before"](), color(before, scale))
    assert np.array_equal(pictures["ig.after"](), color(after, scale))
    assert pictures["panel"]().shape[0] > 2 * 224
    assert pictures["rows"]().shape[0] > 2 * 224


def test_a_map_of_one_sign_takes_the_scale_of_its_signed_partner():
    record, one = CompareRecord(**FACTS, **ATTACKED), explained(np.abs(MAP), MAP)
    pictures = compare.compare_pictures(BEFORE, AFTER, [one], record, panel=False)
    assert np.array_equal(pictures["ig.before"](), color(np.abs(MAP), one.limit, signed=True))


def test_maps_lie_over_the_photograph_at_its_own_size():
    photo = Photo.cropped(np.zeros((300, 400, 3), dtype=np.uint8), (32, 32), 32)
    record = CompareRecord(**FACTS, **ATTACKED)
    pictures = compare.compare_pictures(BEFORE, AFTER, [explained(MAP, -MAP)], record, panel=False, photo=photo)
    assert pictures["ig.before.overlay"]().shape == pictures["ig.after.overlay"]().shape == (300, 400, 3)


def test_both_scores_make_a_panel_of_the_usual_row_and_the_reversed_one():
    methods = ("grad-cam", "integrated-gradients")
    maps = [
        explained(MAP * number, MAP, f"{method}{'' if score == 'logit' else '-prob'}", score)
        for number, (method, score) in enumerate([(m, s) for m in methods for s in ("logit", "prob")], 1)
    ]
    record = CompareRecord(**FACTS, **ATTACKED)
    assert compare.both_scores(maps) == list(methods)
    assert compare.compare_pictures(BEFORE, AFTER, maps, record, panel=True)["scores"]().shape[1] > 4 * 200
    assert "scores" not in compare.compare_pictures(BEFORE, AFTER, maps[::2], record, panel=True)


def test_the_difference_of_mass_is_signed_and_sums_to_nothing():
    before, after = np.zeros((2, 8, 8), dtype=np.float32)
    before[0, 0], after[7, 7] = -3, 1
    moved = compare.mass_difference(before, after)
    assert (moved[0, 0], moved[7, 7], moved.sum()) == (-1, 1, 0)
    assert not compare.mass_difference(before, 0 * before).any()


def test_blank_maps_make_a_panel_too():
    blank = np.zeros((32, 32), dtype=np.float32)
    record = CompareRecord(**FACTS, **ATTACKED)
    assert compare.compare_panel(BEFORE, AFTER, [explained(blank, blank)], record).dtype == np.uint8


def test_words_and_numbers_of_captions():
    assert said("cat", 0.981) == "cat 0.98"
    assert said(None, None) == "nothing"
    assert truth(AttackRecord(item="x")) == "label unknown"
    assert [short(value) for value in (0.0312, 240, 1.24e-5, 0)] == ["0.031", "240", "1.2e-05", "0"]
    assert [eps_text(8 / 255, "linf"), eps_text(0.5 / 255, "linf"), eps_text(0.5, "l2"), eps_text(10, "l0")] == [
        "8/255", "0.5/255", "0.5", "10",
    ]  # fmt: skip
    assert subtitle(MapRecord(**FACTS), None, "x") == "is cat  ·  net  ·  x"
