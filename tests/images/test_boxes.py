"""Boxes of objects from a CSV file."""

import pytest

from advcli.errors import UsageError
from advcli.images.boxes import read_boxes


def test_boxes_are_found_by_the_end_of_the_path(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("path,left,top,right,bottom\ncat/1.png,0,1,10,20\ncat/1.png,3,3,4.5,9\ndog/1.png,0,0,1,1\n")
    boxes = read_boxes(file)
    assert boxes.of("cat/1.png") == ((0, 1, 10, 20), (3, 3, 4.5, 9))
    assert boxes.of("photos/dog/1.png") == ((0, 0, 1, 1),)
    assert boxes.of("cat/2.png") == boxes.of("1.png") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,left,top,right\na,0,0,1\n", "line 2 is no box"),
        ("path,left,top,right,bottom\na,0,0,x,1\n", "line 2 is no box"),
        ("path,left,top,right,bottom\na,5,0,5,1\n", "line 2: the box is empty"),
        ("path,left,top,right,bottom\n", "has no box"),
    ],
)
def test_what_is_no_box_is_refused(tmp_path, text, message):
    file = tmp_path / "boxes.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_boxes(file)
    with pytest.raises(UsageError, match="No such file"):
        read_boxes(tmp_path / "none.csv")
