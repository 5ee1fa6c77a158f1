"""An attack on real pictures with the built-in network: figures, files, and what they promise."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from advcli.models.loading import ModelRequest, load_network


@pytest.fixture(scope="module")
def run(tmp_path_factory, photos, advcli):
    out = tmp_path_factory.mktemp("attack") / "run"
    done = advcli("attack", photos, "--method", "pgd", "--eps", "8/255", "--out", out, "--json")
    assert done.code == 0, done.err
    return out, done


def as_the_network_sees(path):
    with Image.open(path) as picture:
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float() / 255


def test_standard_output_is_the_report_alone(run):
    out, done = run
    assert done.json() == json.loads((out / "report.json").read_text())


def test_summary_has_the_agreed_names(run):
    summary = run[1].json()["summary"]
    rates = ("clean_accuracy", "robust_accuracy", "robust_accuracy_as_saved", "attack_success_rate")
    for name in rates:
        assert summary[f"{name}_low"] <= summary[name] <= summary[f"{name}_high"]
    assert summary["images"] == 24
    assert summary["errors"] == 0
    assert summary["robust_accuracy"] == 0
    assert 0 < summary["passes_per_image"] < 6


def test_every_picture_counted_as_fooling_fools_an_independent_copy_of_the_network(run, records):
    """Another process would load the file and the picture just so: one at a time, nothing folded, plain layout."""
    network, card = load_network(ModelRequest())
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.preprocessing.mean, card.preprocessing.std))
    counted = 0
    for path, record in records(run[0]).items():
        adversarial = as_the_network_sees(run[0] / record["files"]["adversarial"])
        with torch.no_grad():
            prediction = card.classes[int(network((adversarial - mean) / std).argmax())]
        assert prediction == record["adversarial_prediction"], path
        if record["fooled_as_saved"]:
            counted += 1
            assert prediction != record["label"], path
    assert counted == sum(record["fooled_as_saved"] for record in records(run[0]).values()) > 0


def test_saved_pictures_stay_in_the_ball_and_the_record_says_how_far_they_went(run, records):
    for record in records(run[0]).values():
        before, after = (as_the_network_sees(run[0] / record["files"][kind]) for kind in ("original", "adversarial"))
        assert (255 * (after - before)).abs().round().max() <= 8
        assert record["linf"] == pytest.approx(float((after - before).abs().max()), abs=1e-6)
        assert record["l2"] == pytest.approx(float((after - before).norm()), rel=1e-5)


def test_pictures_are_named_after_the_image(run, records):
    files = records(run[0])["cat/00.png"]["files"]
    assert files == {
        kind: f"images/cat/00.png.{kind}.png" for kind in ("original", "adversarial", "difference", "panel")
    }
    assert all((run[0] / path).stat().st_size for path in files.values())


def test_tables_hold_what_the_records_hold(run, records):
    frame = pd.read_parquet(run[0] / "records.parquet")
    lines = records(run[0])
    assert dict(zip(frame["path"], frame["l2"], strict=True)) == {path: line["l2"] for path, line in lines.items()}
    methods = pd.read_csv(run[0] / "tables" / "methods.csv")
    assert methods.loc[0, "robust_accuracy"] == 0


def test_a_targeted_attack_reaches_its_class(main, photos, out, records):
    summary = main("attack", photos / "cat", "--target", "frog", "--json", "--out", out).json()["summary"]
    assert summary["attack_success_rate"] == 1
    assert {line["adversarial_prediction"] for line in records(out).values()} == {"frog"}


def test_several_methods_give_a_record_each_and_the_worst_case(main, photos, out):
    done = main("attack", photos / "cat", "--method", "gaussian-noise", "--method", "fgsm", "--json", "--out", out)
    summary = done.json()["summary"]
    lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [line["method"] for line in lines] == ["gaussian-noise", "fgsm"] * 8
    fooled = {
        path: any(line["fooled"] for line in lines if line["path"] == path) for path in {x["path"] for x in lines}
    }
    assert summary["robust_accuracy"] == 1 - sum(fooled.values()) / 8
    assert summary["methods"]["fgsm"]["robust_accuracy"] <= summary["methods"]["gaussian-noise"]["robust_accuracy"]


def test_bf16_claims_nothing_that_fp32_denies(main, photos, out, records):
    done = main("attack", photos, "--precision", "bf16", "--json", "--out", out)
    assert done.json()["summary"]["robust_accuracy_as_saved"] == 0
    network, card = load_network(ModelRequest())
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.preprocessing.mean, card.preprocessing.std))
    for record in records(out).values():
        adversarial = as_the_network_sees(out / record["files"]["adversarial"])
        assert card.classes[int(network((adversarial - mean) / std).argmax())] != record["label"]
