"""advcli run diff: two runs by their records, through the entry point."""

import json

import pandas as pd
import pytest
from scipy.stats import binomtest

ATTACK = ("--method", "fgsm", "--no-panels")


@pytest.fixture(scope="module")
def runs(advcli, photos, tmp_path_factory):
    """Two attacks of one radius; each run has one case, under another id."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("a", "b")]
    for folder, steps in zip(folders, (1, 4), strict=True):
        ask = ("--method", f"pgd:steps={steps}", "--eps", "1/255", "--no-panels", "--limit", 12)
        advcli("attack", photos, *ask, "--out", folder)
    return folders


def test_two_runs_are_paired_image_by_image(main, runs, lines, tmp_path):
    done = main("run", "diff", *runs, "--json", "--out", tmp_path / "diff")
    assert done.code == 0
    clean, attacked = done.json()["cases"]
    assert (clean["case"], clean["only_a"], clean["only_b"], clean["p_value"]) == ("clean", 0, 0, 1)
    right = [
        {
            line["item"]: line["prediction"] == line["label"] and not line["misclassified_as_saved"]
            for line in lines(run)
        }
        for run in runs
    ]
    only_a = sum(right[0][item] and not right[1][item] for item in right[0])
    only_b = sum(right[1][item] and not right[0][item] for item in right[0])
    assert (attacked["only_a"], attacked["only_b"]) == (only_a, only_b)
    assert attacked["difference"] == pytest.approx((only_b - only_a) / len(right[0]))
    assert attacked["difference_low"] <= attacked["difference"] <= attacked["difference_high"]
    if only_a + only_b:
        assert attacked["p_value"] == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)
    changes = done.json()["changes"]
    assert len(changes) == only_a + only_b
    assert json.loads((tmp_path / "diff" / "diff.json").read_text()) == done.json()
    if changes:
        assert pd.read_csv(tmp_path / "diff" / "changes.csv")["item"].tolist() == [one["item"] for one in changes]
    page = (tmp_path / "diff" / "index.html").read_text()
    assert f"{len(changes)} changes" in page


def test_a_run_does_not_differ_from_itself(main, runs, tmp_path):
    done = main("run", "diff", runs[0], runs[0], "--out", tmp_path / "diff")
    assert done.code == 0
    assert "0 changes" in done.out


def test_what_is_no_run_is_refused(main, runs, tmp_path):
    done = main("run", "diff", runs[0], tmp_path / "nothing")
    assert done.code == 2
    assert "run B" in done.err
    assert "holds no run of advcli" in done.err


def test_results_do_not_go_into_a_run(main, runs):
    done = main("run", "diff", *runs, "--out", runs[0])
    assert done.code == 2
    assert "holds a run" in done.err


def test_runs_without_a_common_image_are_refused(main, runs, photos, tmp_path):
    main("attack", photos / "cat" / "00.png", "--method", "fgsm", "--no-panels", "--out", tmp_path / "c")
    done = main("run", "diff", runs[0], tmp_path / "c", "--out", tmp_path / "diff")
    assert done.code == 2
    assert "no image in common" in done.err
