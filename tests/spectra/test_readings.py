"""Readings, phases, the stop by a spectral cue, pairs: rules held at their bounds."""

import pytest

from advcli.spectra.pairing import differences
from advcli.spectra.phases import phases
from advcli.spectra.readings import ABOUT_ALPHA, mean_alpha, read_alpha
from advcli.spectra.stopping import AlphaStop, Cue, cue_of, in_hindsight


@pytest.mark.parametrize(
    ("alpha", "null", "count", "reading"),
    [
        (1.9, 5.0, 100, "over-trained"),
        (2.0, 5.0, 100, "well trained"),
        (3.99, None, 100, "well trained"),
        (4.0, 7.0, 100, "partly trained"),
        (6.0, 7.0, 100, "partly trained"),
        (6.01, 5.0, 100, "under-trained"),
        (3.0, 3.5, 100, "insufficient"),
        (3.0, 9.0, 49, "insufficient"),
        (3.0, 9.0, 50, "well trained"),
        (None, 3.0, 100, "fit failed"),
        (-1, 3.0, 100, "fit failed"),
    ],
)
def test_alpha_is_read_in_the_words_of_its_authors(alpha, null, count, reading):
    assert read_alpha(alpha, null, count)[0] == reading


def test_insufficient_says_why():
    assert read_alpha(3.0, 3.5, 27) == ("insufficient", ("few-eigenvalues", "like-shuffled"))


def test_failed_and_insufficient_layers_are_not_averaged_in():
    assert mean_alpha([2.0, 4.0, None, 9.0], ["well trained", "partly trained", "fit failed", "insufficient"]) == 3
    assert mean_alpha([None], ["fit failed"]) is None


def test_the_report_says_who_reads_alpha_the_other_way_round():
    assert "seed-004" in ABOUT_ALPHA
    assert "other way round" in ABOUT_ALPHA


def test_phases_follow_the_curves():
    training = [2.0, 1.6, 1.2, 0.9, 0.6, 0.4, 0.3, 0.2, 0.1]
    validation = [2.0, 1.6, 1.25, 1.1, 1.0, 0.98, 1.05, 1.2, 1.4]
    found = phases(range(1, 10), training, validation)
    assert [(one.phase, one.first, one.last) for one in found] == [
        ("under-fitting", 1, 3), ("generalizing", 4, 6), ("over-fitting", 7, 9),
    ]  # fmt: skip
    assert all(one.rule for one in found)


def test_a_training_that_ends_early_has_no_late_phase():
    found = phases(range(1, 6), [2.0, 1.5, 1.2, 1.0, 0.9], [2.0, 1.5, 1.2, 1.02, 0.93])
    assert [one.phase for one in found] == ["under-fitting"]


@pytest.mark.parametrize(
    ("training", "validation"), [([1, 2, 3], [1, 2, 3]), ([1, None, 1], [2, 1, 1]), ([], []), ([1.0], [2.0])]
)
def test_where_nothing_fell_or_little_is_known_there_is_no_phase(training, validation):
    assert phases(range(len(training)), training, validation) == []


def test_training_stops_when_alpha_has_left_its_range_for_long_enough():
    alphas = [8.0, 7.0, 3.0, 2.5, 1.9, 1.8, 2.1, 1.9, 1.8, 1.7]
    cues = [Cue(epoch, alpha, 0) for epoch, alpha in enumerate(alphas, 1)]
    found = in_hindsight(cues, [epoch / 10 for epoch in range(10)], AlphaStop(patience=2))
    assert (found.epoch, found.saved) == (6, 4)
    assert found.gained == pytest.approx(0.5 - 0.9)
    assert in_hindsight(cues, [None] * 10, AlphaStop(patience=3)) is None  # only after the last epoch


def test_training_stops_when_more_layers_are_over_trained():
    cues = [Cue(epoch, 3.0, count) for epoch, count in enumerate([0, 0, 1, 1, 2, 2], 1)]
    assert in_hindsight(cues, [0.5] * 6, AlphaStop(patience=2)).epoch == 4
    assert in_hindsight([Cue(one, 3.0, 1) for one in range(1, 9)], [0.5] * 8) is None


def test_a_cue_sums_up_the_layers():
    assert cue_of(3, [1.5, 2.5, None], ["over-trained", "well trained", "fit failed"]) == Cue(3, 2.0, 1)


def row(name, layer=1, alpha=3.0, shape=(4, 4)):
    figures = dict.fromkeys(("spectral_norm", "matrix_norm", "stable_rank", "alpha_weighted", "weight_std"), 1.0)
    return {"name": name, "layer": layer, "alpha": alpha, "shape": shape, "reading": "well trained", **figures}


def test_layers_are_paired_by_name_else_by_place():
    rows = differences([row("a"), row("b", 2)], [row("b", 2, 3.5), row("c", 3)])
    assert [(one["name"], one["alpha_difference"]) for one in rows] == [("a", None), ("b", 0.5), ("c", None)]
    rows = differences([row("x", 1), row("y", 2)], [row("0", 1, 2.0), row("1", 2, shape=(5, 5))])
    assert [one["alpha_difference"] for one in rows] == [-1.0, None, None]
