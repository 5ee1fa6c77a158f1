"""Keyed random numbers: the published generator, the distributions, and independence from everything but the key."""

import numpy as np
import pytest
import torch
from scipy import stats

from advcli.core.randomness import KEY_WORDS, RowNoise, key, philox
from advcli.core.rows import Rows


def streams(keys, drawn=0):
    keys = torch.as_tensor(keys)
    return Rows(index=torch.arange(len(keys)), key=keys, drawn=torch.full((len(keys),), drawn))


def some_keys(count, seed=0):
    return [key(seed, f"picture {place}", "test") for place in range(count)]


# The known answers that the authors publish with their Random123 library (kat_vectors, philox4x32 with 10 rounds).
@pytest.mark.parametrize(
    ("counter", "keys", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_generator_gives_the_published_answers(counter, keys, answer):
    found = philox(np.array(counter, dtype=np.uint64), np.array(keys, dtype=np.uint64))
    assert found.tolist() == answer


def test_a_key_is_the_seed_the_picture_and_the_purpose():
    variants = [
        key(0, "a", "pgd"),
        key(1, "a", "pgd"),
        key(0, "b", "pgd"),
        key(0, "a", "fgsm"),
        key(0, "a", "pgd", "1"),
    ]
    assert len({tuple(one) for one in variants}) == len(variants)
    assert key(0, "a", "pgd") == variants[0]
    assert all(len(one) == KEY_WORDS and all(0 <= word < 2**32 for word in one) for one in variants)


@pytest.mark.parametrize("place", range(KEY_WORDS))
def test_every_word_of_the_key_counts(place):
    words = [1, 2, 3, 4]
    other = words.copy()
    other[place] += 1
    first, second = RowNoise(streams([words, other])).uniform(50)
    assert not (first == second).any()


def draws(noise):
    highs = torch.arange(5, 5 + len(noise._rows))
    return [noise.uniform(3, 5), noise.normal(7), noise.sign(2), noise.integers(10, 4), noise.uniform(),
            noise.integers(highs), noise.integers(highs, 3)]  # fmt: skip


def test_a_row_draws_the_same_numbers_in_any_company():
    keys = some_keys(9)
    together = draws(RowNoise(streams(keys)))
    for order in ([4], [8, 0, 4], list(range(8, -1, -1))):
        noise = RowNoise(streams([keys[place] for place in order]))
        highs = torch.arange(5, 14)[order]
        apart = [noise.uniform(3, 5), noise.normal(7), noise.sign(2), noise.integers(10, 4), noise.uniform(),
                 noise.integers(highs), noise.integers(highs, 3)]  # fmt: skip
        for one, other in zip(together, apart, strict=True):
            assert torch.equal(one[order], other)


def test_a_row_that_is_moved_goes_on_where_it_was():
    rows = streams(some_keys(6))
    rows.noise.uniform(11)
    kept = rows[torch.tensor([True, False, True, False, False, True])]
    joined = Rows.join([streams(some_keys(6)[3:4]), kept])
    expected = rows.noise.normal(8)
    assert torch.equal(joined.noise.normal(8)[1:], expected[[0, 2, 5]])


def test_nobody_draws_nothing():
    noise = RowNoise(streams(some_keys(2))[:0])
    assert [tuple(noise.uniform(3, 2).shape), tuple(noise.normal().shape)] == [(0, 3, 2), (0,)]


def test_no_number_is_drawn_twice():
    rows = streams(some_keys(3))
    parts = [rows.noise.uniform(count) for count in (1, 2, 3, 4, 5, 100)]
    assert torch.cat(parts, 1).unique().numel() == 3 * 115
    rows = streams(some_keys(1), drawn=2**32 - 3)  # where the first word of the counter runs over
    assert rows.noise.uniform(4000).unique().numel() > 3999 - 5
    rows, start = streams(some_keys(1), drawn=2**32), streams(some_keys(1))
    assert not (rows.noise.uniform(40) == start.noise.uniform(40)).any()


def test_uniform_numbers_are_uniform():
    drawn = RowNoise(streams(some_keys(20))).uniform(100, 100)
    assert drawn.shape == (20, 100, 100)
    assert drawn.dtype == torch.float32
    assert 0 <= drawn.min() < drawn.max() < 1
    assert torch.equal((drawn * 2**24).round() / 2**24, drawn)
    for values in (drawn.flatten(), drawn[0].flatten(), drawn[:, 0, 0]):
        assert stats.kstest(values.numpy(), "uniform").pvalue > 0.01


def test_normal_numbers_are_normal():
    drawn = RowNoise(streams(some_keys(20))).normal(100, 100)
    assert drawn.dtype == torch.float32
    for values in (drawn.flatten(), drawn[0].flatten(), drawn[:, 0, 0]):
        assert stats.kstest(values.numpy(), "norm").pvalue > 0.01
    moments = [float(drawn.double().pow(power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)


def test_signs_and_integers_are_fair():
    noise = RowNoise(streams(some_keys(10)))
    signs = noise.sign(1000)
    assert set(signs.unique().tolist()) == {-1, 1}
    assert abs(float(signs.mean())) < 0.03
    assert stats.chisquare(noise.integers(7, 1000).flatten().bincount(minlength=7).numpy()).pvalue > 0.01
    high = torch.arange(1, 11)
    per_row = noise.integers(high, 500)
    assert per_row.dtype == torch.int64
    assert (per_row.amax(1) == high - 1).all()
    assert (per_row.amin(1) == 0).all()


def test_rows_and_places_of_a_draw_are_uncorrelated():
    drawn = RowNoise(streams(some_keys(30))).normal(4000).double().numpy()
    between_rows = np.corrcoef(drawn) - np.eye(30)
    assert np.abs(between_rows).max() < 5 / np.sqrt(4000)
    lagged = [np.corrcoef(drawn[:, :-lag].ravel(), drawn[:, lag:].ravel())[0, 1] for lag in (1, 2, 3, 4, 8)]
    assert np.abs(lagged).max() < 5 / np.sqrt(drawn.size)


def test_drawing_leaves_the_global_generators_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  the legacy one is what could leak
    draws(RowNoise(streams(some_keys(4))))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002  likewise


def test_streams_without_rows_are_those_of_rows(make_rows):
    from advcli.core.randomness import RowNoise

    rows = make_rows(torch.zeros(3, 3, 2, 2), torch.zeros(3, dtype=torch.int64), seed=7)
    noise = RowNoise.of(7, ["picture 0", "picture 1", "picture 2"], "test")
    for shape in ((4,), (3, 5)):
        assert torch.equal(noise.normal(*shape), rows.noise.normal(*shape))
        assert torch.equal(noise.uniform(*shape), rows.noise.uniform(*shape))
