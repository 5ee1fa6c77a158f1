"""Figures for people: shares, units, tables of cases, and the same number formats everywhere."""

import pytest

from advcli.core.records import AttackRecord
from advcli.reports.summary import NOTHING, Cell, number, plain, shares, tables

SUMMARY = {
    "images": 10_000,
    "clean_accuracy": None,
    "clean_accuracy_low": None,
    "clean_accuracy_high": None,
    "robust_accuracy": 0.0,
    "robust_accuracy_low": 0.0,
    "robust_accuracy_high": 0.00724,
    "forward_passes_per_image": 2.3125,
    "median_linf": 8 / 255,
    "median_l1": None,
    "cases": [
        {"case": "pgd", "eps": 0.1, "attack_success_rate": 1.0, "attacked": 3, "nothing": None},
        {"case": "fgsm", "eps": 0.1, "attack_success_rate": 0.5, "attack_success_rate_low": 0.1}
        | {"attack_success_rate_high": 0.9},
    ],
}


def test_shares_are_percent_with_their_interval_and_unknown_ones_are_left_out():
    assert shares(SUMMARY) == [("robust accuracy", Cell("0.0 %", "[0.0, 0.7]"))]


def test_other_figures_are_plain_and_written_in_the_unit_of_their_field():
    assert plain(SUMMARY, AttackRecord) == [
        ("images", Cell("10,000")),
        ("forward passes per image", Cell("2.31")),
        ("median linf", Cell("8.0/255")),
    ]


def test_a_list_of_rows_is_a_table_without_axes_and_without_empty_columns():
    (table,) = tables(SUMMARY, {"eps"})
    assert table.header == ("case", "attack success rate", "attacked")
    assert dict(table.rows) == {
        "pgd": (Cell("1"), Cell("3")),
        "fgsm": (Cell("50.0 %", "[10.0, 90.0]"), Cell(NOTHING)),
    }


def test_means_have_three_decimals_and_an_interval_only_where_there_is_one():
    rows = [
        {"case": "pgd", "misclassified": True, "mean": 0.5, "low": 0.25, "high": 0.75},
        {"case": "fgsm", "misclassified": False, "mean": 0.5, "low": None, "high": None},
    ]
    (table,) = tables({"similarity": rows})
    assert table.header == ("case", "misclassified", "mean")
    assert table.rows[0][1] == (Cell("yes", wordy=True), Cell("0.500", "[0.250, 0.750]"))
    assert table.rows[1][1] == (Cell("no", wordy=True), Cell("0.500"))


def test_settings_inside_a_row_are_said_in_words():
    (table,) = tables({"cases": [{"case": "pgd", "settings": {"steps": 40, "norm": "l2"}}]})
    assert table.rows[0][1] == (Cell("steps 40, norm l2", wordy=True),)


def test_a_dictionary_is_a_table_of_its_keys():
    (table,) = tables({"hits_by_class": {"cat": 3, "dog": 1}})
    assert dict(table.rows) == {"cat": (Cell("3"),), "dog": (Cell("1"),)}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, NOTHING), (True, "yes"), ("cat", "cat"), (1234567, "1,234,567"), (20.0, "20"), (0.12345, "0.123")],
)
def test_numbers_are_written_with_three_digits_that_count(value, text):
    assert number(value) == text
