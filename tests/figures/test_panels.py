"""Panels: the pixels of a tile are those of its picture, and no text is cut."""

import numpy as np
import pytest

from advcli.figures.colors import legend
from advcli.figures.lettering import lettering, line_height, text_width
from advcli.figures.panels import (
    AIR,
    BAR_GAP,
    BAR_WIDTH,
    EMPHASIS,
    GAP,
    HEAD_SIZE,
    LINE_SIZE,
    MARGIN,
    NARROWEST,
    TITLE_SIZE,
    Bar,
    Tile,
    panel,
)

TOP = MARGIN + line_height(TITLE_SIZE) + AIR


def picture(height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_small_picture_is_enlarged_by_a_whole_factor():
    drawn = panel([[Tile(picture(), "original")]])
    assert np.array_equal(drawn[TOP : TOP + 224, MARGIN : MARGIN + 224], np.kron(picture(), np.ones((7, 7, 1))))


def test_tiles_stand_side_by_side_and_rows_below_each_other():
    tiles = [Tile(picture(seed=seed), "a title", ("a line", "another")) for seed in range(4)]
    drawn = panel([tiles[:3], tiles[3:]])
    third = MARGIN + 2 * (224 + GAP)
    assert np.array_equal(drawn[TOP : TOP + 224 : 7, third : third + 224 : 7], tiles[2].pixels)
    below = panel([tiles[:3]]).shape[0] - MARGIN + GAP + TOP - MARGIN
    assert np.array_equal(drawn[below : below + 224 : 7, MARGIN : MARGIN + 224 : 7], tiles[3].pixels)


@pytest.mark.parametrize(
    ("side", "shown"), [(1, 224), (32, 224), (64, 256), (100, 300), (150, 300), (224, 224), (360, 360), (1000, 360)]
)
def test_every_picture_gets_a_size_that_can_be_looked_at(side, shown):
    drawn = panel([[Tile(np.zeros((side, side, 3), dtype=np.uint8), "")]])
    black = (drawn == 0).all(axis=2)
    assert (black.any(axis=0).sum(), black.any(axis=1).sum()) == (shown, shown)


def test_a_slim_picture_keeps_its_shape_and_leaves_room_for_its_text():
    drawn = panel([[Tile(np.zeros((1000, 50, 3), dtype=np.uint8), "")]])
    assert (drawn == 0).all(axis=2).any(axis=0).sum() == 18
    assert drawn.shape[1] == 2 * MARGIN + NARROWEST


def test_text_is_never_cut_by_its_neighbour_or_the_edge():
    long = "Staffordshire bullterrier, Staffordshire bull terrier 0.98"
    drawn = panel([[Tile(picture(), long, (long, "W" * 200)), Tile(picture(), "", ("",))]])
    text = np.ones(drawn.shape[:2], dtype=bool)
    text[TOP : TOP + 224] = False
    assert (drawn[text & (np.arange(drawn.shape[1]) >= MARGIN + 224)] == 255).all()
    assert (drawn[[0, -1]] == 255).all()


def test_shortening_keeps_the_number_at_the_end():
    name = "Staffordshire bullterrier, Staffordshire bull terrier"
    same, other = lettering(f"{name} 0.98", 13, 200), lettering(f"{name} 0.11", 13, 200)
    assert same.shape[1] <= 200
    assert np.array_equal(same[:, :150], other[:, :150])
    assert not np.array_equal(same, other)


@pytest.mark.parametrize("text", ["", " ", "ε = 8/255", "naïve", "a\nb\x00c", "猫", "W" * 1000, "x " * 500])
@pytest.mark.parametrize("width", [1, 10, 180])
def test_any_text_fits(text, width):
    drawn = lettering(text, 13, width)
    assert drawn.shape[0] == line_height(13)
    assert drawn.shape[1] <= width


@pytest.mark.parametrize("emphasis", ["good", "bad"])
def test_emphasis_frames_the_picture_without_covering_it(emphasis):
    drawn = panel([[Tile(picture(), "", ("ship",), emphasis)]])
    assert tuple(drawn[TOP - 1, MARGIN + 100]) == EMPHASIS[emphasis]
    assert np.array_equal(drawn[TOP : TOP + 224 : 7, MARGIN : MARGIN + 224 : 7], picture())


def test_a_panel_is_the_same_every_time():
    tiles = [[Tile(picture(), "original", ("cat 0.98",))]]
    assert np.array_equal(panel(tiles), panel(tiles))


def test_a_title_stands_above_all_tiles_and_moves_them_down():
    plain, titled = panel([[Tile(picture(), "x")]]), panel([[Tile(picture(), "x")]], "cat/0000.png", "is cat")
    head = line_height(HEAD_SIZE) + line_height(LINE_SIZE) + AIR
    assert titled.shape[0] == plain.shape[0] + head
    assert np.array_equal(titled[MARGIN + head :], plain[MARGIN:])
    assert (titled[MARGIN : MARGIN + head] < 255).any()
    assert (panel([[Tile(picture(), "")]], "W" * 500)[:, -MARGIN:] == 255).all(), "a long title is shortened"


def test_a_color_bar_stands_beside_its_picture_with_numbers_at_its_ends():
    bar = Bar(legend(signed=True), "0.5", "0", "-0.5")
    drawn = panel([[Tile(picture(), "", bar=bar)]])
    left = MARGIN + 224 + BAR_GAP
    column = drawn[TOP : TOP + 224, left : left + BAR_WIDTH]
    assert (column == column[:, :1]).all()
    assert np.array_equal(column[[0, -1], 0], legend(signed=True)[[0, -1]])
    assert (drawn[TOP : TOP + 18, left + BAR_WIDTH :] < 255).any()
    assert drawn.shape[1] == 2 * MARGIN + 224 + bar.width


@pytest.mark.parametrize("size", [12, 13, 15])
def test_words_stand_apart_by_the_width_of_a_space(size):
    drawn = lettering("for truck", size, 500)
    blank = np.flatnonzero((drawn == 255).all(axis=(0, 2)))
    runs = np.split(blank, np.flatnonzero(np.diff(blank) > 1) + 1)
    inner = [len(run) for run in runs if run[0] > 0 and run[-1] < drawn.shape[1] - 1]
    assert max(inner) >= max(3, size // 4)
    assert text_width("for truck", size) == drawn.shape[1]
