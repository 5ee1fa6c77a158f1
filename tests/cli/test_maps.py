"""saliency, explain and compare through the entry point: what their records and pictures hold."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image


def test_saliency_keeps_the_gradient_it_draws(main, photos, out, records):
    main("saliency", photos / "cat", "--npy", "--out", out)
    for record in records(out).values():
        values = np.load(out / record["files"]["npy"])
        assert values.shape == (32, 32)
        assert values.dtype == np.float32
        assert values.min() >= 0 < values.max()


def test_smooth_saliency_is_smoothgrad(main, photos, tmp_path, records):
    ways = {"saliency": ("--smooth", "6"), "explain": ("--method", "smoothgrad:samples=6,reduce=max")}
    maps = []
    for command, options in ways.items():
        main(command, photos / "cat", "--limit", "1", "--npy", *options, "--out", tmp_path / command)
        (record,) = records(tmp_path / command).values()
        maps.append(np.load(tmp_path / command / record["files"]["npy"]))
    assert np.array_equal(*maps)
    done = main("saliency", photos / "cat", "--smooth", "0", "--out", tmp_path / "none")
    assert (done.code, done.err.splitlines()[0]) == (2, "error: --smooth 0 is out of range")


def test_loss_is_explained_as_the_negative_log_probability(main, photos, tmp_path, records):
    maps = {}
    for score in ("loss", "logprob"):
        folder = tmp_path / score
        main("saliency", photos / "cat", "--limit", "2", "--npy", "--reduce", "sum", "--score", score, "--out", folder)
        maps[score] = [np.load(folder / record["files"]["npy"]) for record in records(folder).values()]
    for loss, logprob in zip(maps["loss"], maps["logprob"], strict=True):
        assert np.array_equal(loss, -logprob)


def test_explain_gives_a_record_for_every_method(main, photos, out):
    done = main(
        "explain",
        photos / "cat",
        "--method",
        "grad-cam",
        "--method",
        "integrated-gradients:steps=20",
        "--jsonl",
        "--out",
        out,
    )
    lines = done.lines()
    assert [line["method"] for line in lines[:2]] == ["grad-cam", "integrated-gradients"]
    assert {line["layer"] for line in lines} == {"layer3", None}
    assert all(line["notes"]["completeness_gap"] < 0.5 for line in lines if line["method"] == "integrated-gradients")


def test_a_chosen_layer_is_watched(main, photos, out):
    lines = main("explain", photos / "cat", "--limit", "1", "--layer", "layer2", "--jsonl", "--out", out).lines()
    assert lines[0]["layer"] == "layer2"


def test_explain_can_be_asked_for_any_class(main, photos, out):
    lines = main("explain", photos / "cat", "--limit", "2", "--class", "frog", "--jsonl", "--out", out).lines()
    assert {line["explained"] for line in lines} == {"frog"}


def test_scores_and_classes_are_axes(main, photos, out):
    axes = ["--score", "logit,prob", "--class", "predicted", "--class", "frog"]
    lines = main("explain", photos / "cat", "--limit", "2", *axes, "--jsonl", "--out", out).lines()
    assert len(lines) == 8
    assert {(line["score"], line["class_rule"]) for line in lines} == {
        (score, rule) for score in ("logit", "prob") for rule in ("predicted", "frog")
    }
    assert len({line["case"] for line in lines}) == 4


def test_a_map_without_evidence_is_flagged_and_drawn(main, photos, out, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import torch\n"
        "class Deaf(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__(); self.stem = torch.nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n        return 0 * self.stem(x).mean((2, 3)) + torch.tensor([0., 1., 2., 3.])\n"
        "def deaf():\n    return Deaf()\n"
    )
    done = main(
        "explain",
        photos / "cat",
        "--limit",
        "1",
        "--model",
        f"{own}:deaf",
        "--size",
        32,
        "--jsonl",
        "--method",
        "gradient",
        "--out",
        out,
    )
    assert done.lines()[0]["flags"] == ["blank"]
    assert "gradient of zero" in done.err


def test_compare_says_how_alike_the_maps_are(main, photos, out):
    report = main("compare", photos, "--explain", "grad-cam", "--explain", "gradient", "--json", "--out", out).json()
    table = pd.read_csv(out / "tables" / "similarity.csv")
    for method in ("grad-cam", "gradient"):
        row = table[(table["method"] == method) & (table["metric"] == "spearman")].iloc[0]
        assert -1 <= row["low"] <= row["mean"] <= row["high"] <= 1
    assert list((out / "figures").glob("similarity*.svg"))
    assert "robust_accuracy" in report["summary"]
    long = pd.read_parquet(out / "tables" / "similarity.parquet")
    assert {"item", "case", "explanation", "metric", "value"} <= set(long.columns)


def test_compare_explains_one_class_on_both_sides_unless_told_otherwise(main, photos, tmp_path, records):
    main("compare", photos / "cat", "--explain", "gradient", "--out", tmp_path / "same")
    main("compare", photos / "cat", "--explain", "gradient", "--after", "own", "--out", tmp_path / "own")
    assert all(line["explained_after"] == line["prediction"] for line in records(tmp_path / "same").values())
    assert all(line["explained_after"] == line["adversarial_prediction"] for line in records(tmp_path / "own").values())


@pytest.mark.parametrize("command", ["saliency", "explain", "compare"])
def test_panels_are_pictures_and_can_be_left_out(main, photos, tmp_path, records, command):
    main(command, photos / "cat", "--limit", "1", "--out", tmp_path / "with")
    with Image.open(tmp_path / "with" / records(tmp_path / "with")["00.png"]["files"]["panel"]) as panel:
        assert min(panel.size) > 224
    main(command, photos / "cat", "--limit", "1", "--no-panels", "--out", tmp_path / "without")
    assert "panel" not in records(tmp_path / "without")["00.png"]["files"]


def test_the_built_in_samples_need_no_images_at_all(main, out, records):
    assert main("explain", "--out", out).code == 0
    lines = records(out)
    assert {path: line["label_source"] for path, line in lines.items()} == {
        "cat.png": "record",
        "horse.png": "record",
        "rocket.jpg": "predicted",
        "coffee.png": "predicted",
    }


def test_all_methods_are_on_one_sheet_whether_they_came_at_once_or_one_by_one(main, photos, tmp_path):
    cats = (photos / "cat", "--limit", "2")
    main("explain", *cats, "--method", "gradient", "--method", "edge", "--out", tmp_path / "once")
    for method in ("edge", "gradient"):
        done = main("explain", *cats, "--method", method, "--json", "--out", tmp_path / "twice")
        assert ("all-methods" in done.json()["figures"]) == (method == "gradient")
    sheets = [(tmp_path / out / "figures" / "all-methods.svg").read_bytes() for out in ("once", "twice")]
    assert sheets[0] == sheets[1]
