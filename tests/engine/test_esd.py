"""Runs of esd: checkpoints of one training, with a broken one among them, in one process and in two."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from advcli.engine.esd import EsdConfig, esd, training_finished
from advcli.errors import NoInputError, UsageError
from advcli.figures.film_files import encode
from advcli.runs.command import RunConfig

EPOCHS = 4


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(64, 40))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A folder of checkpoints, one of them cut off, and the history of the training."""
    folder = tmp_path_factory.mktemp("training")
    network = net()
    rows = ["epoch,loss,test_loss,train_accuracy,test_accuracy"]
    for epoch in (1, 2, 9, 10):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
        torch.save({"state_dict": network.state_dict(), "epoch": epoch}, folder / f"epoch{epoch}.pt")
        rows.append(f"{epoch},{1 / epoch},{1.2 / epoch},{0.05 * epoch},{0.04 * epoch}")
    (folder / "epoch5.pt").write_bytes((folder / "epoch1.pt").read_bytes()[:2000])
    (folder / "history.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def course(training, tmp_path_factory):
    """A run over that folder in one process, with films."""
    config = RunConfig(tmp_path_factory.mktemp("runs") / "one", device="cpu")
    return config, esd(config, EsdConfig((str(training),), films=("webp", "gif", "apng"))), training


def records(config):
    return [json.loads(line) for line in (config.out / "records.jsonl").read_text().splitlines()]


def test_each_checkpoint_and_layer_is_a_record_and_the_broken_one_is_named(course):
    config, report, _ = course
    lines = records(config)
    assert len({(line["item"], line["case"]) for line in lines}) == len(lines) == EPOCHS * 3 + 1
    failed = [line for line in lines if line["status"] == "error"]
    assert [line["item"] for line in failed] == ["epoch5.pt"]
    assert "truncated or damaged" in failed[0]["error"]
    assert (report.summary["checkpoints"], report.summary["errors"], report.exit_code) == (EPOCHS + 1, 1, 3)
    assert report.tables.keys() >= {"layers", "course", "parameters"}
    assert "other way round" in report.summary["about_alpha"]


def test_the_course_is_in_the_order_of_its_epochs_with_its_curves(course):
    config, _, _ = course
    table = (config.out / "tables" / "course.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table[1:]] == ["epoch1.pt", "epoch2.pt", "epoch9.pt", "epoch10.pt"]
    assert table[0].split(",")[-3:] == ["loss", "test_loss", "phase"]
    header = (config.out / "tables" / "layers.csv").read_text().splitlines()[0]
    assert header.startswith(
        "layer,name,kind,shape,eigenvalues,alpha,xmin,D,spectral_norm,stable_rank,alpha_weighted,reading,"
    )


def test_distances_grow_from_the_first_checkpoint(course):
    config, _, _ = course
    of_layer = [line["weight_distance"] for line in records(config) if line.get("name") == "4"]
    by_epoch = dict(zip(["1", "10", "2", "9"], of_layer, strict=True))
    assert by_epoch["1"] == 0 < by_epoch["2"] < by_epoch["9"] < by_epoch["10"]


def test_films_have_as_many_frames_as_epochs_and_open_in_pillow(course):
    config, report, _ = course
    assert len(report.summary["films"]) == 12
    for path in report.summary["films"].values():
        with Image.open(config.out / path) as film:
            assert film.n_frames == EPOCHS
            assert film.size[0] % 2 == film.size[1] % 2 == 0
            sizes = set()
            for frame in range(film.n_frames):
                film.seek(frame)
                sizes.add(film.convert("RGB").size)
            assert len(sizes) == 1


def test_two_jobs_give_the_same_as_one(course, tmp_path):
    config, _, training = course
    other = replace(config, out=tmp_path / "two")
    esd(other, EsdConfig((str(training),), jobs=2, films=()))
    assert (other.out / "records.jsonl").read_bytes() == (config.out / "records.jsonl").read_bytes()
    for table in ("layers", "course", "parameters"):
        paths = [run.out / "tables" / f"{table}.csv" for run in (config, other)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_same_command_again_analyzes_only_what_is_left(course, training, monkeypatch):
    config, _, _ = course
    before = [line for line in records(config) if line["status"] == "ok"]
    monkeypatch.setattr("advcli.spectra.pool.Pool.ask", lambda *_: pytest.fail("nothing is left to analyze"))
    esd(config, EsdConfig((str(training),), films=("webp",)))
    assert [line for line in records(config) if line["status"] == "ok"] == before


def test_two_models_are_paired_by_layer(tmp_path):
    wide = nn.Sequential(*net(1)[:-1], nn.Linear(64, 50))
    torch.save(net().state_dict(), tmp_path / "a.pt")
    torch.save(wide.state_dict(), tmp_path / "b.pt")
    config = RunConfig(tmp_path / "out", device="cpu")
    report = esd(config, EsdConfig((str(tmp_path / "a.pt"), str(tmp_path / "b.pt"))))
    rows = (config.out / "tables" / "pairs.csv").read_text().splitlines()
    assert len(rows) == 4
    assert {"pair-alpha", "pair-matrix-norm", "alpha-a", "alpha-b", "weights", "biases"} <= report.figures.keys()
    pictures = [line["files"]["esd"] for line in records(config)]
    assert len(pictures) == 6
    with Image.open(config.out / pictures[0]) as picture:
        assert picture.size == (800, 320)


def test_a_layer_that_a_model_lacks_is_said(tmp_path):
    torch.save(net().state_dict(), tmp_path / "a.pt")
    torch.save(net()[:3].state_dict(), tmp_path / "b.pt")
    config = RunConfig(tmp_path / "out", device="cpu")
    esd(config, EsdConfig((str(tmp_path / "a.pt"), str(tmp_path / "b.pt")), pictures=False))
    missing = [line for line in records(config) if line["status"] == "not-applicable"]
    assert [(line["item"], line["case"], line["error"]) for line in missing] == [("b", "4", "it has no layer 4")]


def test_mp4_films_are_written_by_ffmpeg(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = [np.full((48, 64, 3), 40 * place, np.uint8) for place in range(5)]
    (tmp_path / "film.mp4").write_bytes(encode(frames, "mp4"))
    assert imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))[0] == 5


def test_webp_and_apng_lose_nothing():
    import io

    random = np.random.default_rng(0)
    frames = [random.integers(0, 255, (30, 40, 3), np.uint8) for _ in range(3)]
    for one in ("webp", "apng"):
        with Image.open(io.BytesIO(encode(frames, one))) as film:
            for place, frame in enumerate(frames):
                film.seek(place)
                assert np.array_equal(np.asarray(film.convert("RGB")), frame)


def test_wrong_settings_are_refused():
    with pytest.raises(UsageError, match="no format"):
        EsdConfig(("a",), films=("avi",))
    with pytest.raises(UsageError, match="given twice"):
        EsdConfig(("a", "a"))
    with pytest.raises(UsageError, match="nothing to analyze"):
        EsdConfig(())


def test_a_folder_without_checkpoints_is_no_input(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoInputError, match="holds no checkpoint"):
        esd(RunConfig(tmp_path / "out", device="cpu"), EsdConfig((str(tmp_path / "empty"),)))


def test_weights_are_refused_where_nothing_takes_them(tmp_path):
    torch.save(net().state_dict(), tmp_path / "a.pt")
    with pytest.raises(UsageError, match="takes no --weights"):
        esd(RunConfig(tmp_path / "out", device="cpu"), EsdConfig((str(tmp_path / "a.pt"),), weights="none"))


def test_a_run_in_which_every_checkpoint_is_broken_says_so(tmp_path):
    (tmp_path / "a").mkdir()
    for epoch in (1, 2):
        (tmp_path / "a" / f"epoch{epoch}.pt").write_bytes(b"rubbish")
    report = esd(RunConfig(tmp_path / "out", device="cpu"), EsdConfig((str(tmp_path / "a"),)))
    assert (report.summary["errors"], report.summary["cases"], report.exit_code) == (2, [], 3)


def test_a_training_is_finished_when_its_report_says_so(tmp_path):
    assert not training_finished(tmp_path)
    (tmp_path / "report.json").write_text('{"finished": null}')
    assert not training_finished(tmp_path)
    (tmp_path / "report.json").write_text('{"finished": "2026-01-01T00:00:00+00:00"}')
    assert training_finished(tmp_path)
