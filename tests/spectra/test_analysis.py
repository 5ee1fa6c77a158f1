"""The analysis of a checkpoint: what weightwatcher says, to nine digits, and nothing touched."""

import json
import logging
import os

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

from advcli.spectra.pool import Pool, Request
from advcli.spectra.stopping import cue_of_checkpoint
from advcli.spectra.store import load, place, save


def test_every_column_is_the_one_of_weightwatcher_called_directly(network, analyze, directly):
    state = network.state_dict()
    rows = {row["name"]: row for row in directly(state)}
    found = {one.layer["name"]: one for one in analyze(state).layers}
    assert {name for name, one in found.items() if one.columns} == set(rows)
    for name, row in rows.items():
        ours = {**found[name].columns, **found[name].words}
        assert set(ours) == set(row)
        for column, value in row.items():
            expected = (
                value if isinstance(value, str) else pytest.approx(float(value), rel=1e-9, abs=1e-12, nan_ok=True)
            )
            assert ours[column] == expected, (name, column)


def test_a_matrix_without_full_rank_is_decomposed_as_the_library_does(analyze, directly):
    draw = torch.Generator().manual_seed(3)
    thin = torch.randn(90, 20, generator=draw) @ torch.randn(20, 60, generator=draw)
    twins = torch.randn(80, 60, generator=draw)
    twins[:, 1] = twins[:, 0]
    state = {"thin.weight": thin, "twins.weight": twins}
    rows = {row["name"]: row for row in directly(state)}
    for one in analyze(state).layers:
        row = rows[one.layer["name"]]
        assert one.columns["rank_loss"] == row["rank_loss"]
        assert one.columns["sv_min"] == row["sv_min"]
        assert one.columns["alpha"] == row["alpha"]


def test_layers_that_the_library_leaves_out_are_said(network, analyze):
    found = {one.layer["name"]: one for one in analyze(network.state_dict()).layers}
    assert found["small"].flags == ("too-small",)
    assert len(found["small"].eigenvalues) == 4
    assert found["line"].flags == ("no-spectrum-of-conv1d",)
    assert found["tied"].flags == ("tied-to-hidden",)
    assert found["tied"].columns["alpha"] == found["hidden"].columns["alpha"]


def test_the_eigenvalues_kept_are_the_library_s(network, analyze):
    for one in analyze(network.state_dict()).layers:
        if one.columns:
            assert len(one.eigenvalues) == one.columns["num_evals"] == len(one.shuffled)
            assert one.eigenvalues.max() == one.columns["spectral_norm"]
            assert one.shuffled.sum() == pytest.approx(one.columns["norm"], rel=1e-5)


def test_a_spike_that_survives_shuffling_is_a_trap(analyze):
    torch.manual_seed(0)
    noise = torch.randn(150, 120)
    spike = noise.clone()
    spike[7, 9] = 60.0  # of rank one, and still so when shuffled
    layers = analyze({"noise.weight": noise, "spike.weight": spike, "few.weight": noise[:60, :60]}, traps=True).layers
    traps = {one.layer["name"]: one.columns.get("num_traps") for one in layers}
    assert traps == {"noise": 0, "spike": 1, "few": None}
    assert layers[1].columns["rand_distance"] > 0


def test_an_orthogonal_matrix_fails_to_fit_and_is_not_called_over_trained(analyze):
    from advcli.engine._esd_records import esd_record
    from advcli.runs.command import Case

    orthogonal = nn.init.orthogonal_(torch.empty(64, 64, dtype=torch.float64))
    (one,) = analyze({"fc.weight": 1e-4 * orthogonal}).layers  # below the library's absolute bound
    record = esd_record({"item": "a"}, Case("fc", {"name": "fc"}, payload="fc"), one, {})
    assert one.columns["alpha"] == -1
    assert record.warning == "over-trained"  # the library's own word
    assert (record.alpha, record.reading) == (None, "fit failed")


def test_half_precision_is_analyzed_as_the_values_it_holds(network, analyze):
    half = {
        name: values.half() if values.is_floating_point() else values for name, values in network.state_dict().items()
    }
    wide = {name: values.float() if values.is_floating_point() else values for name, values in half.items()}
    one, other = analyze(half).layers[0], analyze(wide).layers[0]
    assert one.columns == other.columns


def test_nothing_of_this_process_is_touched(network, analyze, capfd):
    state = network.state_dict()
    before = {name: values.clone() for name, values in state.items()}
    facts = (mpl.get_backend(), logging.getLogger().level, len(logging.getLogger().handlers), dict(os.environ))
    numpy_state, torch_state = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    analyze(state)
    assert (mpl.get_backend(), logging.getLogger().level, len(logging.getLogger().handlers), dict(os.environ)) == facts
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(torch.equal(values, state[name]) for name, values in before.items())
    assert set(state) == set(before)
    assert not hasattr(network.conv, "longname")
    assert capfd.readouterr() == ("", "")


def test_what_the_library_prints_comes_back_as_a_log(pool, tmp_path):
    torch.save({"a.weight": torch.randn(12, 12)}, tmp_path / "a.pt")
    answer = pool.ask(Request(str(tmp_path / "a.pt"), str(tmp_path)))
    assert "SMALL N PL FIT" in answer.log or load(answer.stored).layers[0].columns["alpha"] > 0


def test_an_analysis_is_found_again_by_the_weights(pool, tmp_path):
    torch.save({"a.weight": torch.randn(40, 40)}, tmp_path / "a.pt")
    first = pool.ask(Request(str(tmp_path / "a.pt"), str(tmp_path / "kept")))
    stamp = first.stored.stat().st_mtime_ns
    (tmp_path / "b.pt").write_bytes((tmp_path / "a.pt").read_bytes())
    assert pool.ask(Request(str(tmp_path / "b.pt"), str(tmp_path / "kept"))).stored == first.stored
    assert first.stored.stat().st_mtime_ns == stamp
    first.stored.write_bytes(b"damaged")
    pool.ask(Request(str(tmp_path / "a.pt"), str(tmp_path / "kept")))
    assert load(first.stored) is not None
    assert pool.ask(Request(str(tmp_path / "a.pt"), str(tmp_path / "kept"), seed=1)).stored != first.stored


def test_an_analysis_survives_the_disk(network, analyze, tmp_path):
    found = analyze(network.state_dict())
    path = place(tmp_path, found.fingerprint, 0, None, traps=False)
    save(path, found)
    again = load(path)
    assert again.fingerprint == found.fingerprint
    for one, other in zip(found.layers, again.layers, strict=True):
        assert np.array_equal(one.eigenvalues, other.eigenvalues)
        assert (dict(one.columns), dict(one.words), one.flags) == (dict(other.columns), dict(other.words), other.flags)
    assert json.dumps(found.layers[0].layer) == json.dumps(again.layers[0].layer)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"hello", "not a model file"), (b"PK\x03\x04x", "truncated or damaged")]
)
def test_rubbish_is_an_answer_and_not_the_end(pool, tmp_path, content, reason):
    (tmp_path / "x.pt").write_bytes(content)
    answer = pool.ask(Request(str(tmp_path / "x.pt"), str(tmp_path)))
    assert answer.stored is None
    assert reason in answer.error


def test_a_process_that_dies_is_an_answer_too(tmp_path, monkeypatch):
    monkeypatch.setitem(
        __import__("advcli.spectra.pool", fromlist=["_ENVIRONMENT"])._ENVIRONMENT, "PYTHONHOME", "/nowhere"
    )
    with Pool(1) as pool:
        assert "ended with exit code" in pool.ask(Request("x", str(tmp_path))).error


def test_a_training_hears_of_the_alphas_of_its_checkpoint(network, pool, tmp_path):
    torch.save(network.state_dict(), tmp_path / "epoch1.pt")
    cue = cue_of_checkpoint(pool, Request(str(tmp_path / "epoch1.pt"), str(tmp_path)), 1)
    assert cue.epoch == 1
    assert cue.alpha is None or cue.alpha > 1
    assert cue_of_checkpoint(pool, Request(str(tmp_path / "none.pt"), str(tmp_path)), 1) is None


def test_no_process_is_left_behind(tmp_path):
    with Pool(2) as pool:
        requests = [(place, Request(str(tmp_path / "none"), str(tmp_path))) for place in range(4)]
        answers = dict(pool.analyze(requests))
        processes = list(pool._all)
    assert len(answers) == 4
    assert 1 <= len(processes) <= 2
    assert all(process.poll() is not None for process in processes)
