"""advcli mask through the entry point: what its records hold, and that they depend on nothing but the picture."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.integrate import trapezoid

METHODS = ["--explain", "gradient:reduce=max", "--explain", "grad-cam"]
SHARES = ["--keep", "0.1,0.5", "--remove", "0.25", "--fill", "zero,gaussian"]
CASES = 2 * 2 * 2 * 3  # methods, orders, fills, shares


@pytest.fixture(scope="module")
def reference(tmp_path_factory, photos, advcli):
    out = tmp_path_factory.mktemp("mask") / "run"
    done = advcli("mask", photos / "cat", *METHODS, *SHARES, "--panels", "--out", out)
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="module")
def found(reference, lines):
    return pd.DataFrame(lines(reference))


@pytest.fixture(scope="module")
def summary(reference):
    return json.loads((reference / "report.json").read_text())["summary"]


def test_every_cell_of_the_grid_has_a_record(found):
    assert len(found) == 8 * CASES
    assert set(found["case"]) >= {"gradient-reducemax-map-zero-keep0.1", "grad-cam-random-gaussian-remove0.25"}
    assert (found["keep"].isna() != found["remove"].isna()).all()
    assert set(found["order"]) == {"map", "random"}


def test_a_record_says_what_became_of_the_first_class(found):
    assert (found["flipped"] == (found["prediction"] != found["prediction_after"])).all()
    for row in found.itertuples():
        top = {one["name"]: one["probability"] for one in row.top5_after}
        assert max(top, key=top.get) == row.prediction_after
        assert top.get(row.prediction, row.probability_after) == row.probability_after
        share = row.keep if row.remove != row.remove else 1 - row.remove
        assert abs(row.share_kept - share) <= 0.5 / 1024


def test_what_is_judged_is_what_is_on_the_disk(reference, found):
    from advcli.models.classifier import Classifier
    from advcli.models.loading import ModelRequest, load_network

    classifier = Classifier(*load_network(ModelRequest()))
    some = found.iloc[::17]
    pictures = [np.asarray(Image.open(reference / files["masked"])) for files in some["files"]]
    logits = classifier.logits(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255)
    assert [classifier.card.classes[place] for place in logits.argmax(1)] == list(some["prediction_after"])
    probability = logits.double().softmax(1).amax(1).numpy()
    assert np.abs(probability - [top[0]["probability"] for top in some["top5_after"]]).max() < 1e-6


def test_kept_pixels_are_the_pictures_own(reference, photos, found):
    row = found[found["case"] == "gradient-reducemax-map-zero-keep0.5"].iloc[0]
    before, after = (np.asarray(Image.open(path)) for path in (row["source"], reference / row["files"]["masked"]))
    same = (before == after).all(2)
    assert same.sum() >= 512
    assert not after[~same].any()


def test_the_random_order_is_one_order_for_all_methods(found):
    control = found[found["order"] == "random"]
    for _, group in control.groupby(["item", "fill", control["keep"].fillna(0)]):
        assert group["probability_after"].nunique() == 1


def test_areas_are_those_under_the_curves_of_each_picture(found, summary):
    rows = found[(found["method"] == "grad-cam") & (found["order"] == "map") & (found["fill"] == "zero")]
    for form, metric in (("keep", "insertion"), ("remove", "deletion")):
        areas = []
        for _, one in rows[rows[form].notna()].groupby("item"):
            one = one.sort_values("share_kept")
            shares = [0, *one["share_kept"], 1]
            scores = [one["probability_filled"].iloc[0], *one["probability_after"], one["probability"].iloc[0]]
            areas.append(trapezoid(scores, shares))
        (row,) = (
            row
            for row in summary["areas"]
            if (row["method"], row["order"], row["fill"], row["metric"]) == ("grad-cam", "map", "zero", metric)
        )
        assert row["n"] == 8
        assert row["mean"] == pytest.approx(np.mean(areas))
        assert row["low"] <= row["mean"] <= row["high"]


def test_the_summary_counts_by_case(found, summary, reference):
    for row in summary["cases"]:
        group = found[found["case"] == row["case"]]
        assert row["agreement"] == pytest.approx(1 - group["flipped"].mean())
        assert row["accuracy"] == pytest.approx((group["prediction_after"] == "cat").mean())
        wrong = group.loc[group["flipped"] & (group["prediction_after"] != "cat"), "prediction_after"].value_counts()
        assert (row["most_common_wrong"] is None) == wrong.empty
        assert wrong.empty or int(row["most_common_wrong"].rpartition(" ")[2]) == wrong.max()
    assert {path.stem for path in (reference / "figures").glob("*.svg")} >= {
        "accuracy-keep-zero",
        "agreement-remove-gaussian",
    }


@pytest.mark.parametrize("size", [1, 5])
def test_batch_size_changes_nothing(main, photos, reference, out, size):
    done = main("mask", photos / "cat", *METHODS, *SHARES, "--panels", "--batch-size", size, "--out", out)
    assert done.code == 0, done.err
    assert (out / "records.jsonl").read_bytes() == (reference / "records.jsonl").read_bytes()


def test_a_run_that_grows_is_the_run_that_was_asked_for_at_once(main, photos, reference, out):
    folder = ["mask", photos / "cat", "--panels", "--out", out]
    assert main(*folder, "--explain", "grad-cam", "--keep", "0.5", "--order", "map").code == 0
    done = main(*folder, *METHODS, *SHARES)
    assert "8 of 192 results were done before" in done.err
    assert (out / "records.jsonl").read_bytes() == (reference / "records.jsonl").read_bytes()


def test_without_panels_there_are_no_pictures(main, photos, out, lines):
    main("mask", photos / "cat", "--limit", "2", "--no-panels", "--out", out)
    assert all(line["files"] == {} for line in lines(out))


def test_a_map_without_evidence_is_flagged_and_ranks_as_chance_does(main, photos, out, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import torch\n"
        "class Flat(torch.nn.Module):\n"
        "    def forward(self, x):\n        return (x > 0).float().mean((2, 3)).detach() + 0 * x.mean((2, 3))\n"
        "def flat():\n    return Flat()\n"
    )
    model = ["--model", f"{own}:flat", "--size", 32]
    lines = main("mask", photos / "cat", "--limit", "1", *model, "--keep", "0.3", "--jsonl", "--out", out).lines()
    by_order = {line["order"]: line for line in lines}
    assert by_order["map"]["flags"] == ["blank"]
    assert by_order["random"]["flags"] == []
    assert by_order["map"]["probability_after"] == by_order["random"]["probability_after"]


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        (["--keep", "5"], "--keep 5 is no share between 0 and 1", "write --keep 0.05"),
        (["--remove", "1"], "--remove 1 is no share between 0 and 1", "write --remove 0.5"),
        (["--keep", "0.1,0.1"], "--keep 0.1 is given twice", ""),
        (["--fill", "black"], "--fill 'black' is not known", "zero, gaussian"),
        (["--order", "worst"], "--order 'worst' is not known", "map or random"),
        (["--layer", "layer3"], "--layer layer3 is of no use to gradient", ""),
    ],
)
def test_options_without_meaning_are_refused(main, photos, out, options, error, hint):
    done = main("mask", photos / "cat", *options, "--out", out)
    assert done.code == 2
    assert f"error: {error}" in done.err
    assert hint in done.err
    assert not out.exists()
