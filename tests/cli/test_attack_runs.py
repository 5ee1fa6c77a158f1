"""An attack on real pictures with the built-in network: figures, files, and what they promise."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage import data

from advcli.images.reading import fit
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
    assert 0 < summary["forward_passes_per_image"] < 6


def test_every_picture_counted_as_misclassified_is_so_for_an_independent_copy_of_the_network(run, records):
    """Another process would load the file and the picture just so: one at a time, nothing folded, plain layout."""
    network, card = load_network(ModelRequest())
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.preprocessing.mean, card.preprocessing.std))
    counted = 0
    for path, record in records(run[0]).items():
        adversarial = as_the_network_sees(run[0] / record["files"]["adversarial"])
        with torch.no_grad():
            prediction = card.classes[int(network((adversarial - mean) / std).argmax())]
        assert prediction == record["adversarial_prediction"], path
        if record["misclassified_as_saved"]:
            counted += 1
            assert prediction != record["label"], path
    assert counted == sum(record["misclassified_as_saved"] for record in records(run[0]).values()) > 0


def test_saved_pictures_stay_in_the_ball_and_the_record_says_how_far_they_went(run, photos, records):
    for path, record in records(run[0]).items():
        before, after = as_the_network_sees(photos / path), as_the_network_sees(run[0] / record["files"]["adversarial"])
        assert (255 * (after - before)).abs().round().max() <= 8
        assert record["linf_as_saved"] == pytest.approx(float((after - before).abs().max()), abs=1e-6)
        assert record["l2_as_saved"] == pytest.approx(float((after - before).norm()), rel=1e-5)
        assert record["linf"] <= 8 / 255 + 1e-7


def test_pictures_are_named_after_the_image_and_the_case(run, records):
    record = records(run[0])["cat/00.png"]
    assert record["case"] == "pgd-8_255"
    assert record["files"] == {
        kind: f"images/cat/00.png.pgd-8_255.{kind}.png" for kind in ("adversarial", "difference", "panel")
    }
    assert all((run[0] / path).stat().st_size for path in record["files"].values())


def test_the_original_is_kept_where_the_file_is_not_what_the_network_sees(main, out, lines):
    main("attack", "--limit", "1", "--method", "fgsm", "--out", out)
    (record,) = lines(out)
    assert set(record["files"]) == {"original", "adversarial", "difference", "panel"}
    assert as_the_network_sees(out / record["files"]["original"]).shape == (1, 3, 32, 32)


def test_tables_hold_what_the_records_hold(run, records):
    frame = pd.read_parquet(run[0] / "records.parquet")
    found = records(run[0])
    assert dict(zip(frame["item"], frame["l2"], strict=True)) == {path: line["l2"] for path, line in found.items()}
    cases = pd.read_csv(run[0] / "tables" / "cases.csv")
    assert list(cases["case"]) == ["pgd-8_255"]
    assert cases.loc[0, "robust_accuracy"] == 0


def test_a_targeted_attack_reaches_its_class(main, photos, out, records):
    summary = main("attack", photos / "cat", "--target", "frog", "--json", "--out", out).json()["summary"]
    assert summary["attack_success_rate"] == 1
    assert {line["adversarial_prediction"] for line in records(out).values()} == {"frog"}


def test_several_methods_give_a_record_each_and_the_worst_case(main, photos, out, lines):
    done = main("attack", photos / "cat", "--method", "gaussian-noise", "--method", "fgsm", "--json", "--out", out)
    summary = done.json()["summary"]
    found = lines(out)
    assert [line["method"] for line in found] == ["fgsm", "gaussian-noise"] * 8
    lost = {line["item"] for line in found if line["misclassified"]}
    right = {line["item"] for line in found if line["prediction"] == line["label"]}
    assert summary["robust_accuracy"] == len(right - lost) / 8
    cases = {row["method"]: row for row in summary["cases"]}
    assert cases["fgsm"]["robust_accuracy"] <= cases["gaussian-noise"]["robust_accuracy"]
    assert summary["robust_accuracy"] <= cases["fgsm"]["robust_accuracy"]


def test_a_list_of_eps_is_a_curve_with_a_case_each(main, photos, out, lines):
    done = main("attack", photos / "cat", "--eps", "1/255,4/255,8/255", "--method", "fgsm", "--json", "--out", out)
    cases = done.json()["summary"]["cases"]
    assert [row["case"] for row in cases] == ["fgsm-1_255", "fgsm-4_255", "fgsm-8_255"]
    rates = [row["robust_accuracy"] for row in cases]
    assert rates == sorted(rates, reverse=True)
    implied = [line for line in lines(out) if line["implied"]]
    assert all(line["forward_passes"] in (0, None) for line in implied)


def test_a_value_added_to_an_axis_does_only_the_new_case(main, photos, out):
    command = ["attack", photos / "cat", "--method", "fgsm", "--json", "--out", out]
    first = main(*command, "--eps", "4/255")
    pictures = {path: path.stat().st_mtime_ns for path in (out / "images").rglob("*.png")}
    second = main(*command, "--eps", "4/255,8/255")
    assert "8 of 16 results were done before" in second.err
    assert [row["case"] for row in second.json()["summary"]["cases"]] == ["fgsm-4_255", "fgsm-8_255"]
    assert second.json()["summary"]["cases"][0] == first.json()["summary"]["cases"][0]
    assert {path: path.stat().st_mtime_ns for path in pictures} == pictures


def test_a_target_that_is_the_label_does_not_apply_and_is_no_error(main, photos, out, lines):
    done = main("attack", photos, "--target", "cat", "--method", "fgsm", "--out", out, "--json")
    assert done.code == 0
    assert {line["status"] for line in lines(out) if line["label"] == "cat"} == {"not-applicable"}
    assert done.json()["summary"]["images"] == 24
    assert done.json()["summary"]["clean_accuracy"] is not None


def test_several_models_read_the_images_each_in_its_own_way(main, photos, out, lines, tmp_path):
    own = tmp_path / "small.py"
    own.write_text(
        "import torch\n"
        "def small():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 10))\n"
    )
    models = ["--model", "cifar10-resnet20", "--model", f"{own}:small", "--size", "16"]
    report = main("attack", photos / "cat", *models, "--method", "fgsm", "--json", "--out", out).json()
    assert [model["size"] for model in report["models"]] == [[32, 32], [16, 16]]
    assert len(report["summary"]["models"]) == 2
    assert [line["case"] for line in lines(out)[:1]] == ["fgsm-8_255"]
    assert len(lines(out)) == 16


def test_bf16_claims_nothing_that_fp32_denies(main, photos, out, records):
    done = main("attack", photos, "--precision", "bf16", "--json", "--out", out)
    assert done.json()["summary"]["robust_accuracy_as_saved"] == 0
    network, card = load_network(ModelRequest())
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (card.preprocessing.mean, card.preprocessing.std))
    for record in records(out).values():
        adversarial = as_the_network_sees(out / record["files"]["adversarial"])
        assert card.classes[int(network((adversarial - mean) / std).argmax())] != record["label"]


def test_every_class_as_a_target_gives_a_matrix_and_strategies_stand_side_by_side(main, photos, out, lines):
    few = [photos / "cat" / "00.png", photos / "dog" / "01.png"]
    command = ["attack", *few, "--method", "fgsm", "--target", "all", "--target", "second", "--target", "least"]
    done = main(*command, "--no-panels", "--out", out)
    assert done.code == 0, done.err
    assert "targets: attack success rate in %, the picture's class by target" in done.out
    assert "strategy_differences, against" in done.out
    summary = json.loads((out / "report.json").read_text())["summary"]
    matrix = {(row["source"], row["target"]) for row in summary["targets"]}
    assert len({target for _, target in matrix}) >= 9
    assert not any(source == target for source, target in matrix)
    assert len(lines(out)) == 2 * (10 + 2)
    assert {record["target"] for record in lines(out) if record["case"] == "fgsm-8_255-frog"} == {"frog"}
    assert {row["target"] for row in summary["strategies"]} == {"second", "least"}
    assert (out / "tables" / "targets.csv").is_file()
    for kind in ("success", "passes", "l2"):
        assert (out / "figures" / f"targets-{kind}-fgsm-8_255.svg").is_file()
    assert (out / "figures" / "strategies-fgsm-8_255.svg").is_file()


def test_targets_from_a_file_are_reached_for_each_image(main, photos, out, tmp_path, records):
    (tmp_path / "to.csv").write_text("path,class\n00.png,ship\n01.png,frog\n")
    few = [photos / "cat" / "00.png", photos / "cat" / "01.png"]
    done = main("attack", *few, "--target", tmp_path / "to.csv", "--no-panels", "--out", out)
    assert done.code == 0, done.err
    assert {item: record["target"] for item, record in records(out).items()} == {"00.png": "ship", "01.png": "frog"}
    done = main("attack", photos / "cat", "--target", tmp_path / "to.csv", "--out", out / "more")
    assert done.code == 2
    assert "02.png has no row in the --target file to.csv, and so 5 more" in done.err


def test_a_diagnosis_says_why_images_may_withstand(main, photos, out, lines):
    few = [photos / "cat" / f"0{place}.png" for place in range(3)]
    command = ["attack", *few, "--method", "pgd:steps=8", "--eps", "0.5/255", "--diagnose", "--no-panels"]
    done = main(*command, "--out", out)
    assert done.code == 0, done.err
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["diagnose"] is True
    withstood = [record for record in lines(out) if not record["misclassified"]]
    assert withstood
    for record in withstood:
        assert {"zero_gradients", "instability", "disagreement", "noise_success", "passes"} <= set(record["diagnosis"])
        assert "zero-gradients" not in record["indicators"]
    for row in report["summary"].get("diagnosis", ()):
        assert f"pgd-steps8-0.5_255: {row['images']} of {row['of']} images {row['sign']}" in done.err
        assert row["advice"] in done.err


def test_autoattack_is_always_diagnosed(main, photos, out, records):
    quick = "autoattack:version=quick,steps=3,queries=10"
    done = main("attack", photos / "cat" / "00.png", "--method", quick, "--eps", "0.2/255", "--no-panels", "--out", out)
    assert done.code == 0, done.err
    (record,) = records(out).values()
    assert record["diagnosis"]["passes"] > 0


@pytest.mark.slow
def test_a_time_budget_ends_a_run_that_the_same_command_completes(main, photos, out, tmp_path):
    command = ["attack", photos, "--method", "pgd:steps=10", "--eps", "1/255", "--no-panels"]
    whole = main(*command, "--out", tmp_path / "whole")
    assert whole.code == 0, whole.err
    cut = main(*command, "--time-budget", "0.001", "--out", out)
    assert cut.code == 124
    assert "results left to do; the same command goes on" in cut.err
    report = json.loads((out / "report.json").read_text())
    assert report["exit_code"] == 124
    assert report["environment"]["time_budget"] == 0.001
    assert 0 < report["summary"]["images"] < 24
    assert main(*command, "--time-budget", "900", "--out", out).code == 0
    assert (out / "records.jsonl").read_bytes() == (tmp_path / "whole" / "records.jsonl").read_bytes()


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_what_is_no_time_is_refused(main, photos, out, seconds):
    assert main("attack", photos, f"--time-budget={seconds}", "--out", out).code == 2


def test_the_expectation_over_a_network_counts_every_pass(main, photos, out, records):
    rand = "autoattack:version=rand,samples=3,steps=4"
    done = main("attack", photos / "cat" / "00.png", "--method", rand, "--no-panels", "--out", out)
    assert done.code == 0, done.err
    (record,) = records(out).values()
    assert record["forward_passes"] > 0
    assert record["forward_passes"] % 3 == record["backward_passes"] % 3 == record["verification_passes"] % 3 == 0


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Photographs of different sizes, none of them the network's."""
    folder = tmp_path_factory.mktemp("large")
    for name, picture, size in (("cat", data.chelsea(), (90, 60)), ("ship", data.rocket(), (48, 70))):
        (folder / name).mkdir()
        Image.fromarray(picture).resize(size).save(folder / name / "0.png")
    return folder


def test_pictures_keep_their_size_and_fool_through_the_normal_reader(main, large, out, records):
    done = main("attack", large, "--method", "pgd:steps=20", "--keep-size", "--out", out)
    assert done.code == 0, done.err
    network, card = load_network(ModelRequest())
    how = card.preprocessing
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (how.mean, how.std))
    assert len(records(out)) == 2
    for item, record in records(out).items():
        with Image.open(large / item) as before, Image.open(out / record["files"]["adversarial"]) as after:
            assert after.size == before.size
            change = np.abs(np.asarray(after).astype(int) - np.asarray(before.convert("RGB")).astype(int))
            seen = torch.from_numpy(fit(after.convert("RGB"), how.size, how.resize, how.interpolation))
        assert change.max() <= 8
        with torch.no_grad():
            prediction = card.classes[int(network((seen[None] / 255 - mean) / std).argmax())]
        assert prediction == record["adversarial_prediction"]
    assert any(
        record["misclassified_as_saved"] and record["prediction"] == record["label"] for record in records(out).values()
    )
    assert json.loads((out / "report.json").read_text())["settings"]["keep_size"] is True


def test_a_radius_of_normalized_pixels_is_converted_for_each_channel_and_said(main, photos, out, records):
    command = ["attack", photos / "cat" / "00.png", "--method", "fgsm", "--no-panels"]
    done = main(*command, "--eps", "0.1", "--eps-space", "normalized", "--out", out)
    assert done.code == 0, done.err
    _, card = load_network(ModelRequest())
    (record,) = records(out).values()
    assert record["case"] == "fgsm-0.1"
    std = np.array(card.preprocessing.std)
    assert record["eps"] == pytest.approx(0.1 * std.max())
    assert record["eps_normalized"] == 0.1
    assert record["eps_channels"] == pytest.approx(list(0.1 * std))
    before, after = (
        np.asarray(Image.open(path).convert("RGB")).astype(int)
        for path in (photos / "cat" / "00.png", out / record["files"]["adversarial"])
    )
    most = np.abs(after - before).max((0, 1))
    assert (most == np.floor(0.1 * std * 255)).all()
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["eps_space"] == "normalized"
    said = next(text for text in report["preflight"] if "a normalized eps of 1 is" in text)
    assert f"0.1 is {', '.join(f'{value:.4g}' for value in 0.1 * std)} of red, green and blue" in said
    assert main(*command, "--eps-space", "normalized", "--out", out / "none").code == 2


@pytest.mark.slow
def test_a_diagnosed_run_is_the_same_whether_its_radii_come_at_once_or_one_after_the_other(main, photos, out, tmp_path):
    few = [photos / "cat" / "00.png", photos / "dog" / "00.png"]
    command = ["attack", *few, "--method", "pgd:steps=4", "--diagnose", "--no-panels"]
    assert main(*command, "--eps", "1/255,8/255", "--out", tmp_path / "once").code == 0
    assert main(*command, "--eps", "8/255", "--out", out).code == 0
    assert main(*command, "--eps", "1/255,8/255", "--out", out).code == 0
    assert (out / "records.jsonl").read_bytes() == (tmp_path / "once" / "records.jsonl").read_bytes()
