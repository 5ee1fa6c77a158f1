"""advcli noise-search through the real entry point, on networks whose answers are known."""

import json

import numpy as np
import pytest
from PIL import Image

from advcli.images.noise import noise

# Two and three classes; how sure they are of a picture follows from its mean color.
NETS = """
import torch

class Colors(torch.nn.Module):
    def __init__(self, classes, scale):
        super().__init__()
        self.classes, self.scale = classes, scale
    def forward(self, pixels):
        return self.scale * pixels.mean((2, 3))[:, :self.classes]

def two():
    return Colors(2, 8.0)

def sober():
    return Colors(2, 3.0)

def three():
    return Colors(3, 8.0)
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    return lambda *names: [
        word for name in names for word in ("--model", f"{tmp_path / 'nets.py'}:{name}")
    ] + ["--size", "8"]  # fmt: skip


def sure(levels, scale=8.0):
    """Probability and class that the network of two colors gives."""
    red, green = (levels[:, place].astype(np.float64).mean((1, 2)) / 255 for place in (0, 1))
    odds = scale * (red - green)
    return 1 / (1 + np.exp(-np.abs(odds))), (odds < 0).astype(int)


def cases(report):
    return {row["case"]: row for row in report["summary"]["cases"]}


def test_it_counts_what_is_known_beforehand(main, nets, out, lines):
    words = ("--noise", "constant,uniform", "--attempts", 700, "--seed", 4, "--out", out, "--json")
    done = main("noise-search", *nets("two"), *words)
    assert done.code == 0, done.err
    found = cases(done.json())
    for kind in ("constant", "uniform"):
        probabilities, classes = sure(noise(kind, 4, 0, 700, (8, 8)))
        hits = probabilities >= 0.9
        assert found[kind]["hits"] == hits.sum()
        assert found[kind]["hit_rate"] == hits.mean()
        assert found[kind]["hits_by_class"] == {
            str(name): int((classes[hits] == name).sum())
            for name in sorted(set(classes[hits]), key=lambda name: -(classes[hits] == name).sum())
        }
    assert 0.1 < found["constant"]["hit_rate"] < 0.6
    assert found["uniform"]["hits"] == 0
    record = next(line for line in lines(out) if line["case"] == "constant")
    probabilities, classes = sure(noise("constant", 4, 0, 500, (8, 8)))
    assert np.allclose(record["probabilities"], probabilities, atol=2e-6)
    assert record["predictions"] == classes.tolist()
    assert sum(record["confidence_histogram"]) == 500


def test_the_surest_pictures_are_saved_as_they_were_seen(main, nets, out, lines):
    main("noise-search", *nets("two"), "--noise", "constant", "--attempts", 300, "--keep", 3, "--out", out)
    (record,) = lines(out)
    levels = noise("constant", 0, 0, 300, (8, 8))
    probabilities, _ = sure(levels)
    assert [one["probability"] for one in record["kept"]] == pytest.approx(np.sort(probabilities)[:-4:-1], abs=1e-6)
    for one in record["kept"]:
        saved = np.asarray(Image.open(out / one["file"]))
        assert np.array_equal(saved, levels[one["attempt"]].transpose(1, 2, 0))
        assert one["hit"] == (one["probability"] >= 0.9)
    assert set(record["files"]) == {f"{kind}-{rank}" for kind in ("noise", "map") for rank in (1, 2, 3)} | {"panel"}
    assert (out / "figures" / "most-confident-constant.svg").exists()


@pytest.mark.parametrize("words", [("--batch-size", 33), ("--model",)])
def test_records_do_not_depend_on_the_batch_or_on_other_models(main, nets, out, words, lines):
    names = ("two", "sober") if words == ("--model",) else ("two",)
    common = ("--attempts", 530, "--noise", "perlin,salt", "--optimize", 1)
    assert main("noise-search", *nets("two"), *common, "--out", out / "a").code == 0
    rest = () if len(names) > 1 else words
    assert main("noise-search", *nets(*names), *common, *rest, "--out", out / "b").code == 0
    mine = {(line["item"], line["case"]): line for line in lines(out / "a")}
    theirs = {(line["item"], line["case"]): line for line in lines(out / "b")}
    assert {key: theirs[key] for key in mine} == mine


def test_models_see_the_same_pictures_and_are_compared(main, nets, out):
    words = ("--noise", "constant", "--attempts", 400, "--out", out, "--json")
    done = main("noise-search", *nets("two", "sober"), *words)
    assert done.code == 0, done.err
    levels = noise("constant", 0, 0, 400, (8, 8))
    hits, sober = (sure(levels, scale)[0] >= 0.9 for scale in (8.0, 3.0))
    (row,) = done.json()["summary"]["comparisons"]
    assert (row["hits_against"], row["hits"], row["hits_of_both"]) == (hits.sum(), sober.sum(), (hits & sober).sum())
    assert row["reduction"] == pytest.approx(1 - sober.sum() / hits.sum())
    assert row["p_value"] == pytest.approx(2 * 0.5 ** (hits & ~sober).sum(), rel=1e-6)


def test_more_attempts_go_on_and_end_as_if_asked_at_once(main, nets, out, lines):
    call = ("noise-search", *nets("two"), "--noise", "constant")
    assert main(*call, "--attempts", 500, "--out", out / "a").code == 0
    again = main(*call, "--attempts", 1200, "--out", out / "a")
    assert "1 of 3 results were done before" in again.err
    assert main(*call, "--attempts", 1200, "--out", out / "b").code == 0
    assert (out / "a" / "records.jsonl").read_bytes() == (out / "b" / "records.jsonl").read_bytes()
    longer = main(*call, "--attempts", 1500, "--out", out / "a", "--json").json()
    hits = int((sure(noise("constant", 0, 0, 1500, (8, 8)))[0] >= 0.9).sum())
    assert (longer["summary"]["attempts"], longer["summary"]["hits"]) == (1500, hits)


def test_it_goes_on_after_an_interruption(main, nets, out, monkeypatch):
    from advcli.engine import _noise_results

    call = ("noise-search", *nets("two"), "--attempts", 1500, "--noise", "constant")
    assert main(*call, "--out", out / "whole").code == 0
    counted = _noise_results.counted
    seen = []

    def interrupted(*arguments):
        seen.append(1)
        if len(seen) > 4:  # in the third block
            raise KeyboardInterrupt
        return counted(*arguments)

    monkeypatch.setattr(_noise_results, "counted", interrupted)
    stopped = main(*call, "--out", out / "part")
    assert stopped.code == 130
    assert "kept 2 of 3 results" in stopped.err
    monkeypatch.undo()
    assert main(*call, "--out", out / "part").code == 0
    assert (out / "part" / "records.jsonl").read_bytes() == (out / "whole" / "records.jsonl").read_bytes()


def test_climbs_find_a_picture_for_every_class(main, nets, out, lines):
    done = main("noise-search", *nets("three"), "--attempts", 16, "--optimize", 2, "--out", out, "--json")
    assert done.code == 0, done.err
    (case,) = done.json()["summary"]["cases"]
    assert (case["fooling_images"], case["classes_sought"], case["classes_fooled"]) == (6, 3, 3)
    assert case["attempts"] == 16
    climbs = [line for line in lines(out) if line["sought"] is not None]
    assert [line["item"] for line in climbs] == [f"fooling-{c:04}-{s:04}" for c in range(3) for s in range(2)]
    for line in climbs:
        mean = np.asarray(Image.open(out / line["files"]["noise-1"])).astype(np.float64).mean((0, 1)) / 255
        odds = np.exp(8 * mean)
        assert odds[int(line["sought"])] / odds.sum() == pytest.approx(line["probabilities"][0], abs=1e-5)
        assert line["probabilities"][0] >= 0.9
        assert line["hits_by_class"] == {line["sought"]: 1}


def test_a_class_that_a_model_does_not_have_is_not_applicable(main, nets, out, lines):
    done = main("noise-search", *nets("two", "three"), "--attempts", 16, "--optimize", 1, "--out", out)
    assert done.code == 0, done.err
    statuses = {(line["item"], line["case"]): line["status"] for line in lines(out)}
    assert [key for key, status in statuses.items() if status != "ok"] == [("fooling-0002-0000", "uniform")]


def test_labelled_pictures_make_the_figures_sober(main, nets, tmp_path, out):
    """Red 0.75 and green 0.25: the gap is 4 for every picture, of which 12 of 16 are labelled rightly."""
    for place in range(16):
        folder = tmp_path / "labelled" / ("0" if place < 12 else "1")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (191, 64, place)).save(folder / f"{place}.png")
    words = ("--noise", "constant", "--attempts", 200, "--calibrate", tmp_path / "labelled", "--out", out, "--json")
    done = main("noise-search", *nets("two"), *words)
    assert done.code == 0, done.err
    assert "fitted to 16 pictures only" in done.err
    (case,) = done.json()["summary"]["cases"]
    temperature = 8 * (191 - 64) / 255 / np.log(3)
    assert case["temperature"] == pytest.approx(temperature, rel=1e-4)
    sober = sure(noise("constant", 0, 0, 200, (8, 8)), 8 / case["temperature"])[0] >= 0.9
    assert case["calibrated_hit_rate"] == sober.mean()
    assert case["hits"] > sober.sum()


def test_low_precision_is_judged_again_where_it_decides(main, nets, out, lines):
    words = ("--attempts", 500, "--noise", "constant", "--keep", 2)
    main("noise-search", *nets("two"), *words, "--out", out / "full")
    main("noise-search", *nets("two"), *words, "--precision", "bf16", "--out", out / "low")
    full, low = lines(out / "full")[0], lines(out / "low")[0]
    assert low["hits"] == full["hits"]


def test_a_table_a_gate_and_a_dry_run(main, nets, out):
    call = ("noise-search", *nets("two"), "--noise", "constant", "--attempts", 20, "--out", out)
    plan = main(*call, "--dry-run")
    assert "1 block in 1 case: 1 result, 0 done, 1 to do" in plan.out
    assert not out.exists()
    done = main(*call)
    assert "hit" in done.out
    assert "constant" in done.out
    gate = main(*call, "--fail-over", "hit_rate=0.01")
    assert gate.code == 1
    assert "hit_rate" in gate.err
    page = (out / "index.html").read_text()
    assert "attempts-0000000" in page
    assert json.loads((out / "report.json").read_text())["summary"]["attempts"] == 20


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--attempts", "0"), 2, "--attempts"),
        (("--threshold", "1"), 2, "--threshold 1 is not between 0 and 1"),
        (("--threshold", "nan"), 2, "--threshold nan"),
        (("--noise", "pink"), 2, "--noise 'pink' is not known"),
        (("--noise", "salt,salt"), 2, "--noise salt is given twice"),
        (("--optimize", "-1"), 2, "--optimize"),
        (("--calibrate", "missing"), 4, "missing"),
        (("--fail-over", "robust_accuracy=0.1"), 2, "robust_accuracy"),
        (("--model", "nothing"), 5, "nothing"),
    ],
)
def test_wrong_words_are_refused(main, out, words, code, said):
    done = main("noise-search", *words, "--out", out)
    assert done.code == code, done.err
    assert said in done.err
    assert not out.exists()


def test_other_thresholds_are_another_run(main, nets, out):
    call = ("noise-search", *nets("two"), "--attempts", 20, "--out", out)
    assert main(*call).code == 0
    refused = main(*call, "--threshold", "0.8")
    assert refused.code == 2
    assert "threshold" in refused.err
