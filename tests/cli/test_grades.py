"""explain --grade, --ensemble, --top and --scale through the entry point."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.integrate import trapezoid

from advcli.engine._maps import explain_images
from advcli.figures.colors import color, limit_of

METHODS = ["--method", "grad-cam", "--method", "gradient"]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory):
    file = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    file.write_text("path,left,top,right,bottom\ncat/00.png,0,0,32,16\n")
    return file


@pytest.fixture(scope="module")
def options(photos, boxes):
    return [photos, "--limit", "3", *METHODS, "--ensemble", "mean", "--grade", "--boxes", boxes, "--npy"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory, advcli, options):
    out = tmp_path_factory.mktemp("grades") / "run"
    done = advcli("explain", *options, "--out", out)
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="module")
def report(reference):
    return json.loads((reference / "report.json").read_text())


def test_every_map_has_its_grades(reference, lines):
    for line in lines(reference):
        grade = line["grade"]
        assert grade["overall"] == grade["insertion"] - grade["deletion"]
        assert 0 <= grade["deletion"] <= 1
        assert 0 <= grade["infidelity"] <= 1
        assert grade["max_sensitivity"] > 0
        assert {"edge_ssim_abs", "random_spearman_abs", "sanity_spearman_abs", "sanity_hog"} <= set(grade)
        assert grade.get("area_inside") == (0.5 if line["item"] == "cat/00.png" else None)
        curves = line["curves"]
        assert len(curves["deletion"]) == len(curves["insertion_random"]) == 21
        assert curves["deletion"][0] == pytest.approx(curves["insertion"][-1], abs=1e-5)
        assert curves["deletion"][0] == pytest.approx(line["probability"], abs=1e-4)
        assert trapezoid(curves["deletion"], np.rint(np.linspace(0, 1024, 21)) / 1024) == pytest.approx(
            grade["deletion"]
        )


def test_the_control_is_the_same_for_all_methods(reference, lines):
    frame = pd.DataFrame([{"item": line["item"], **line["grade"]} for line in lines(reference)])
    assert (frame.groupby("item")["deletion_random"].nunique() == 1).all()


def test_the_table_ranks_the_methods_with_intervals(reference, report, lines):
    rows = report["summary"]["grades"]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    means = {row["case"]: row["mean"] for row in rows if row["metric"] == "overall"}
    assert cases == sorted(means, key=means.get, reverse=True)
    assert {row["rank"] for row in rows} == {1, 2, 3}
    for row in rows:
        values = [line["grade"].get(row["metric"]) for line in lines(reference) if line["case"] == row["case"]]
        known = [value for value in values if value is not None]
        assert row["n"] == len(known)
        assert row["mean"] == (pytest.approx(np.mean(known)) if known else None)
        assert row["n"] < 2 or row["low"] <= row["mean"] <= row["high"]
    assert (reference / "tables" / "grades.csv").exists()
    assert {path.stem for path in (reference / "figures").iterdir()} >= {"faithfulness", "sanity"}


def test_the_time_that_a_case_takes_is_in_the_timings_alone(reference, report):
    assert set(report["timings"]["cases"]) == {line["case"] for line in report["summary"]["cases"]}
    assert all(seconds > 0 for seconds in report["timings"]["cases"].values())
    assert "seconds" not in (reference / "records.jsonl").read_text()


def test_batch_size_changes_no_grade(main, options, reference, out):
    assert main("explain", *options, "--batch-size", "1", "--out", out).code == 0
    assert (out / "records.jsonl").read_bytes() == (reference / "records.jsonl").read_bytes()


def test_an_ensemble_is_the_mean_of_the_maps_each_scaled_to_one(reference, lines):
    by_item = {}
    for line in lines(reference):
        by_item.setdefault(line["item"], {})[line["method"]] = np.load(reference / line["files"]["npy"])
    for maps in by_item.values():
        parts = [maps[name].astype(np.float64) for name in ("grad-cam", "gradient")]
        expected = np.mean([part / np.abs(part).max() for part in parts], axis=0)
        assert np.abs(maps["ensemble-mean"] - expected).max() < 1e-6
    assert "ensemble-mean-grad-cam+gradient" in {line["case"] for line in lines(reference)}


def test_an_ensemble_alone_left_to_do_is_the_same(main, photos, reference, out, lines):
    folder = [photos, "--limit", "2", *METHODS, "--npy", "--out", out]
    assert main("explain", *folder).code == 0
    assert "4 of 6 results were done before" in main("explain", *folder, "--ensemble", "mean").err
    found = [line for line in lines(out) if line["method"] == "ensemble-mean"]
    for line in found:
        before = next(one for one in lines(reference) if (one["item"], one["case"]) == (line["item"], line["case"]))
        assert (out / line["files"]["npy"]).read_bytes() == (reference / before["files"]["npy"]).read_bytes()


def test_the_top_share_is_outlined_and_boxed(main, photos, out, tmp_path, lines):
    one = ["explain", photos / "cat", "--limit", "1", "--no-panels"]
    main(*one, "--top", "0.2", "--out", out)
    main(*one, "--out", tmp_path / "plain")
    (top,), (plain,) = lines(out), lines(tmp_path / "plain")
    assert plain["box_top"] is None
    assert top["box_top10"] == plain["box_top10"]
    inner, outer = top["box_top10"], top["box_top"]
    assert outer[0] <= inner[0] < inner[2] <= outer[2]
    drawn, bare = (
        np.asarray(Image.open(folder / line["files"]["overlay"])).astype(int)
        for folder, line in ((out, top), (tmp_path / "plain", plain))
    )
    changed = (drawn != bare).any(2)
    assert 0 < changed.mean() < 0.2
    assert len(np.unique(drawn[changed], axis=0)) == 1


def test_on_the_scale_of_the_run_all_maps_end_at_the_same_value(main, photos, out, lines):
    settings = ["--method", "gradient:reduce=max", "--limit", "3", "--npy", "--scale", "run", "--scale", "1"]
    main("explain", photos, *settings, "--out", out)
    found = lines(out)
    maps = [np.load(out / line["files"]["npy"]) for line in found]
    limit = max(map(limit_of, maps))
    for line, values in zip(found, maps, strict=True):
        assert (np.asarray(Image.open(out / line["files"]["map"])) == color(values, limit)).all()


def test_the_scale_of_the_run_explains_no_image_twice(main, photos, out, tmp_path, lines, monkeypatch):
    explained = []

    def counted(clean, pixels, cases, *rest, **named):
        explained.extend((one.image.item.identity, case.id) for one in clean for case in cases)
        return explain_images(clean, pixels, cases, *rest, **named)

    monkeypatch.setattr("advcli.engine.explain.explain_images", counted)
    settings = ["explain", photos, *METHODS, "--layer", "layer3*", "--limit", "3", "--npy", "--no-panels"]
    assert main(*settings, "--scale", "run", "--out", out).code == 0
    assert len(explained) == len(set(explained)) == 6
    assert main(*settings, "--out", tmp_path / "own").code == 0
    for one, other in zip(lines(out), lines(tmp_path / "own"), strict=True):
        assert (out / one["files"]["npy"]).read_bytes() == (tmp_path / "own" / other["files"]["npy"]).read_bytes()
        kept = [{name: line[name] for name in line if name not in ("files", "digests")} for line in (one, other)]
        assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--ensemble", "mean"], "--ensemble mean averages the maps of several methods"),
        (["--boxes", "{boxes}"], "--boxes is of no use without --grade"),
        (["--top", "10"], "--top 10 is no share between 0 and 1"),
    ],
)
def test_options_without_meaning_are_refused(main, photos, out, boxes, options, error):
    done = main("explain", photos / "cat", *[one.format(boxes=boxes) for one in options], "--out", out)
    assert done.code == 2
    assert f"error: {error}" in done.err


def test_grades_are_figures_for_gates_and_the_worst_case_decides(main, options, reference, report):
    rows = report["summary"]["grades"]
    worst = {
        name: choose(row["mean"] for row in rows if row["metric"] == name)
        for name, choose in (("overall", min), ("insertion", min), ("mass_inside", min), ("deletion", max))
    }
    assert worst == {name: report["summary"][name] for name in worst}
    gates = ["--fail-under", f"insertion={worst['insertion']}", "--fail-over", f"deletion={worst['deletion']}"]
    assert main("explain", *options, "--out", reference, *gates).code == 0
    missed = main("explain", *options, "--out", reference, "--fail-under", "overall=2")
    assert missed.code == 1
    assert f"error: overall {worst['overall']:.6g} is under 2 (--fail-under)" in missed.err


@pytest.mark.parametrize(
    ("options", "figure", "hint"),
    [
        ([], "insertion", "it comes with --grade"),
        (["--grade"], "insertoin", "did you mean insertion"),
        (["--grade"], "pointing", "it comes with --grade --boxes FILE.csv"),
        (["--grade"], "insertion_low", "did you mean insertion"),
    ],
)
def test_a_figure_that_a_run_will_not_have_is_refused_before_the_model_is_loaded(
    main, photos, out, options, figure, hint
):
    done = main("explain", photos, *options, "--model", "missing.pt", "--fail-under", f"{figure}=0.5", "--out", out)
    assert done.code == 2
    assert f"error: --fail-under: explain has no figure '{figure}'" in done.err
    assert f"hint: {hint}" in done.err
