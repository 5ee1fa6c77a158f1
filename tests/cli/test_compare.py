"""compare as an experiment, through the entry point: tables, floors, detection, protocols and refusals."""

import pandas as pd
import pytest

from advcli.core.records import CompareRecord

QUICK = (
    *("--explain", "gradient", "--explain", "smoothgrad:samples=2", "--attack", "fgsm", "--no-panels"),
    *("--labels", "predicted", "--limit", 10),
)
STUDY = (*QUICK, "--eps", "2/255,8/255", "--after", "both", "--detect")
COLUMNS = (
    *("case", "model", "attack", "eps", "target", "method", "score", "after", "misclassified", "metric", "n"),
    *("undefined", "mean", "low", "high", "floor_shuffled", "floor_noise", "ceiling"),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("study") / "out"


@pytest.fixture(scope="module")
def study(advcli, photos, out):
    """A small experiment: two eps, two explanations, both classes, one probe."""
    return advcli("compare", photos, *STUDY, "--json", "--out", out).json()


def test_every_mean_stands_beside_its_floors_and_ceiling(study, out):
    table = pd.read_csv(out / "tables" / "similarity.csv")
    assert list(table.columns) == list(COLUMNS)
    whole = table[table["misclassified"].isna() & (table["n"] >= 8)]
    assert len(whole) == 2 * 2 * 2 * 9
    assert (whole["low"] <= whole["mean"]).all()
    assert (whole["mean"] <= whole["high"]).all()
    assert whole[["floor_shuffled", "floor_noise", "ceiling"]].notna().all().all()
    row = whole[(whole["metric"] == "spearman") & (whole["method"] == "gradient") & (whole["after"] == "same")].iloc[0]
    assert row["floor_shuffled"] < row["mean"] < 1
    assert (whole[whole["method"] == "gradient"]["ceiling"].isin([0, 1])).all()
    noisy = whole[(whole["method"] != "gradient") & (whole["metric"] == "spearman")]
    assert (noisy["ceiling"] < 0.99).all()
    groups = table[table["metric"] == "ssim"].groupby(["case", "method", "after"])
    for _, rows in groups:
        whole = rows["misclassified"].isna()
        assert rows[~whole]["n"].sum() == rows[whole]["n"].sum()
    assert {"methods", "method_tests", "similarity", "detection"} <= set(study["summary"])
    assert "method_tests" in CompareRecord.long_tables & set(study["summary"])  # which the terminal counts only


def test_every_eps_is_attacked_for_itself(study, lines, out):
    found = lines(out)
    assert not any(line["implied"] for line in found)
    assert all(
        line["linf_as_saved"] == pytest.approx(line["eps"], abs=1e-6)
        for line in found
        if "already-wrong" not in line["flags"]
    )


def test_the_report_says_whether_the_maps_give_the_attack_away(study, out):
    table = pd.read_csv(out / "tables" / "detection.csv")
    assert set(table["method"]) == {"gradient", "smoothgrad-samples2", "top-probability"}
    assert table["auroc"].between(0, 1).all()
    assert any("top probability" in sentence for sentence in study["summary"]["notes"])
    assert len(pd.read_csv(out / "tables" / "roc.csv")) == 51 * len(table)


def test_detectors_are_attacked_too_and_what_hides_from_them_is_on_disk(main, photos, lines, tmp_path):
    ask = ("--explain", "gradient", "--explain", "rise:masks=2", "--attack", "fgsm", "--attack", "cw:steps=1")
    rest = ("--eps", "8/255", "--no-panels", "--labels", "predicted", "--limit", 4, "--json", "--out", tmp_path / "o")
    done = main("compare", photos, *ask, "--detect", "adaptive", *rest)
    assert done.code == 0
    assert {one.partition(":")[0] for one in done.json()["skipped"]} >= {"rise", "cw"}
    assert done.json()["settings"]["detect"] == "adaptive"
    table = pd.read_csv(tmp_path / "o" / "tables" / "detection.csv")
    assert set(table[table["against"] == "adaptive"]["method"]) == {"gradient", "top-probability"}
    assert set(table[table["against"] == "adaptive"]["attack"]) == {"fgsm"}
    mine = [line for line in lines(tmp_path / "o") if line["case"].startswith("fgsm")]
    fooled = [line for line in mine if line["misclassified_as_saved"]]
    assert fooled
    for line in fooled:
        asked = {(row["explanation"], row["metric"]) for row in line["probes"] if row["adaptive"] is not None}
        assert {("top-probability", "change"), ("gradient", "spearman")} <= asked
        for name in ("gradient", "top-probability"):
            assert (tmp_path / "o" / line["files"][f"adaptive-{name}-blur"]).exists()


def test_two_models_stand_side_by_side_on_the_same_images(main, photos, tmp_path):
    ask = ("--explain", "gradient", "--explain", "grad-cam", "--attack", "fgsm", "--no-panels", "--limit", 10)
    models = ("--model", "cifar10-resnet20", "--model", "cifar10-resnet20-robust", "--labels", "predicted")
    done = main("compare", photos, *ask, *models, "--eps", "8/255", "--json", "--out", tmp_path / "o")
    assert done.code == 0
    assert done.json()["settings"]["explain"] == ["gradient", "grad-cam"]
    means = pd.read_csv(tmp_path / "o" / "tables" / "methods.csv")
    assert means.groupby("model")["method"].unique().map(list).to_dict() == {
        name: ["gradient", "grad-cam"] for name in ("cifar10-resnet20", "cifar10-resnet20-robust")
    }
    tests = pd.read_csv(tmp_path / "o" / "tables" / "model_tests.csv")
    assert list(zip(tests["method"], tests["metric"], strict=True)) == [
        (method, metric) for method in ("gradient", "grad-cam") for metric in ("spearman", "ssim", "hog")
    ]
    assert (tests["n"] == 10).all()
    assert (tests["low"] <= tests["mean"]).all()
    assert tests[["p_value", "p_holm"]].notna().all().all()
    pivot = means.pivot_table("mean", ["method", "metric"], "model", sort=False)
    gaps = pivot["cifar10-resnet20"] - pivot["cifar10-resnet20-robust"]
    for row in tests.itertuples():
        assert row.mean == pytest.approx(gaps[row.method, row.metric], abs=1e-6)
    floors = pd.read_csv(tmp_path / "o" / "tables" / "similarity.csv")
    assert floors[floors["misclassified"].isna()]["floor_shuffled"].notna().all()


def test_records_do_not_depend_on_the_batch_and_results_not_on_an_interruption(study, main, photos, out, tmp_path):
    main("compare", photos, *STUDY, "--batch-size", 5, "--out", tmp_path / "other")
    for name in ("records.jsonl", "tables/similarity.csv", "tables/floors.csv"):
        assert (tmp_path / "other" / name).read_bytes() == (out / name).read_bytes()
    lines = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
    table = (out / "tables" / "similarity.csv").read_bytes()
    (out / "records.jsonl").write_bytes(b"".join(lines[::2]))
    (out / "tables" / "floors.csv").unlink()
    main("compare", photos, *STUDY, "--out", out)
    assert (out / "records.jsonl").read_bytes() == b"".join(lines)
    assert (out / "tables" / "similarity.csv").read_bytes() == table


def test_one_image_is_too_few_and_the_report_says_so(main, photos, tmp_path):
    done = main("compare", photos / "cat" / "00.png", *QUICK, "--json", "--out", tmp_path / "one")
    assert done.code == 0
    assert any("n is too small" in sentence for sentence in done.json()["summary"]["notes"])
    assert pd.read_csv(tmp_path / "one" / "tables" / "similarity.csv")["low"].isna().all()


def test_a_method_that_refuses_the_model_leaves_the_others_running(main, photos, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "import torch\n"
        "def smooth():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(),"
        " torch.nn.Linear(4 * 30 * 30, 3))\n"
    )
    ask = ("--explain", "guided-backprop", "--explain", "gradient", "--attack", "fgsm", "--limit", "2", "--json")
    done = main("compare", photos, "--model", f"{own}:smooth", "--size", 32, *ask, "--out", tmp_path / "o")
    assert done.code == 0
    assert any("guided-backprop" in sentence for sentence in done.json()["skipped"])
    assert set(pd.read_csv(tmp_path / "o" / "tables" / "similarity.csv")["method"]) == {"gradient"}


def test_a_protocol_sets_the_design_and_records_it_in_pixels(main, photos, tmp_path):
    done = main(
        "compare", photos, "--limit", 1, "--protocol", "seed-003", "--dry-run", "--json", "--out", tmp_path / "p"
    )
    report = done.json()["report"]
    assert report["settings"]["protocol"] == "seed-003"
    assert report["settings"]["explain"] == ["smoothgrad-samples10", "grad-cam", "guided-backprop"]
    std = max(report["models"][0]["std"])
    assert report["axes"]["eps"] == pytest.approx([std * size for size in (0.2, 0.4, 0.6, 0.8, 1.0)])
    toward = main(
        "compare", photos, "--protocol", "seed-003", "--target", "all", "--dry-run", "--json", "--out", tmp_path / "p"
    ).json()
    assert len(toward["report"]["axes"]["target_rule"]) == 10
    assert toward["report"]["axes"]["eps"] == pytest.approx([std * 0.4])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--probe", "blur"), "--probe is of no use without --detect"),
        (("--protocol", "seed-003", "--eps", "1/255"), "--eps is set by --protocol seed-003"),
        (("--attack", "transfer"), "compare has no --surrogate"),
        (("--detect", "--probe", "smear"), "--probe 'smear' is not known"),
        (("--detect=clever",), "clever"),
    ],
)
def test_options_without_meaning_are_refused(main, photos, tmp_path, options, said):
    done = main("compare", photos, *options, "--out", tmp_path / "o")
    assert done.code == 2
    assert said in done.err
    assert "hint:" in done.err
