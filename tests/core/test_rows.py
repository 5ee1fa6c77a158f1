"""Rows: named tensors that stay together."""

import pickle

import pytest
import torch

from advcli.core.rows import GIVEN, Rows
from advcli.errors import ContractError


@pytest.fixture
def rows(make_rows):
    images = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    rows = make_rows(images, torch.arange(5), eps=torch.arange(5.0))
    rows.momentum = images * 2
    return rows


@pytest.mark.parametrize(
    ("keep", "places"),
    [
        (torch.tensor([True, False, False, True, True]), [0, 3, 4]),
        (torch.tensor([4, 0]), [4, 0]),
        (slice(1, 3), [1, 2]),
        (slice(0, 0), []),
    ],
)
def test_all_tensors_of_a_row_go_together(rows, keep, places):
    some = rows[keep]
    assert len(some) == len(places)
    assert set(some) == set(rows)
    for name in rows:
        assert torch.equal(getattr(some, name), getattr(rows, name)[places])


def test_what_was_taken_apart_can_be_joined(rows):
    joined = Rows.join([rows[3:], rows[:0], rows[:3]])
    for name in rows:
        assert torch.equal(getattr(joined, name), getattr(rows, name)[[3, 4, 0, 1, 2]])


def test_rows_with_other_names_cannot_be_joined(rows, make_rows):
    fresh = make_rows(rows.images, rows.label)
    with pytest.raises(ContractError, match="momentum"):
        Rows.join([rows, fresh])


@pytest.mark.parametrize("name", sorted(GIVEN - {"donor"}))
def test_what_the_driver_gives_is_read_only(rows, name):
    before = getattr(rows, name)
    with pytest.raises(ContractError, match=f"rows.{name} is the driver's and read-only"):
        setattr(rows, name, before)
    other = rows.replace(**{name: before[torch.tensor([4, 3, 2, 1, 0])]})
    assert getattr(rows, name) is before
    assert getattr(other, name) is not before
    assert set(other) == set(rows)


def test_no_name_can_be_added_to_fixed_rows(rows):
    fixed = rows.fix()
    for part in (fixed, fixed[1:], Rows.join([fixed, fixed]), fixed.replace(eps=fixed.eps)):
        part.momentum = part.momentum * 2
        with pytest.raises(ContractError, match=r"rows\.velocity was not created in start"):
            part.velocity = part.momentum
    rows.velocity = rows.momentum


@pytest.mark.parametrize("wrong", [torch.zeros(4), torch.zeros(6, 5), torch.tensor(1.0)])
def test_every_tensor_has_one_entry_per_row(rows, wrong):
    with pytest.raises(ContractError, match=r"rows\.weights .* 5 rows"):
        rows.weights = wrong


def test_a_tensor_that_was_never_made_is_named(rows):
    with pytest.raises(AttributeError, match="'velocity'; an attack assigns it in start"):
        rows.velocity  # noqa: B018  reading it is the test


def test_a_column_goes_with_pixels(rows):
    assert torch.equal(rows.column(0.5), torch.full((5, 1, 1, 1), 0.5))
    assert torch.equal(rows.column(rows.eps), torch.arange(5.0).view(5, 1, 1, 1))
    assert rows.column(torch.arange(5, dtype=torch.float64)).dtype == rows.images.dtype
    assert (rows.images * rows.column(rows.label)).shape == rows.images.shape


def test_the_goal_follows_label_and_target(rows):
    rows = rows.replace(target=torch.tensor([-1, 2, 3, -1, 0]))
    assert rows.goal.pivot.tolist() == [0, 2, 3, 3, 0]
    assert rows[rows.target >= 0].goal.pivot.tolist() == [2, 3, 0]


def test_drawing_moves_the_rows_on(rows):
    first, second = rows.noise.uniform(4), rows.noise.uniform(4)
    assert not torch.equal(first, second)
    assert rows.drawn.tolist() == [2] * 5


def test_rows_can_be_sent_to_another_process(rows):
    copied = pickle.loads(pickle.dumps(rows))
    assert all(torch.equal(getattr(copied, name), getattr(rows, name)) for name in rows)
