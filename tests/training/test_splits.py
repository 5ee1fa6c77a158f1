"""Splits: every image once, every class its share."""

import numpy as np
import pytest

from advcli.errors import UsageError
from advcli.training.splits import stratified_split


@pytest.mark.parametrize("shares", [(0.8, 0.2), (0.8, 0.1, 0.1), (1 / 3, 1 / 3, 1 / 3)])
def test_every_image_is_in_one_part_and_classes_keep_their_shares(shares):
    labels = np.random.default_rng(0).integers(0, 7, 1003)
    parts = stratified_split(labels, shares, 0)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(1003))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * 1003) < len(shares)
        for one in range(7):
            assert abs((labels[part] == one).sum() - share * (labels == one).sum()) < 2 * len(shares)


def test_shares_that_are_whole_numbers_are_met():
    labels = np.repeat(np.arange(10), 600)
    parts = stratified_split(labels, (4 / 6, 1 / 6, 1 / 6), 42)
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[400] * 10, [100] * 10, [100] * 10]


def test_the_seed_decides():
    labels = np.repeat(np.arange(2), 50)
    first, again, other = (stratified_split(labels, (0.5, 0.5), seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2), (0.99, 0.01)])
def test_shares_that_do_not_split_are_refused(shares):
    with pytest.raises(UsageError):
        stratified_split(np.zeros(10, dtype=np.int64), shares, 0)
