"""A picture is held against the class that the user meant, and told where that came from."""

import pickle
from pathlib import Path

import pytest

from advcli.errors import ImageError, UsageError
from advcli.images.labels import Labels, for_folders, label_for, parse_labels
from advcli.images.sources import Source

CLASSES = ("airplane", "cat", "dog")


def match(word: str) -> int | None:
    if word.lower() in CLASSES:
        return CLASSES.index(word.lower())
    return int(word) if word.isdecimal() and int(word) < len(CLASSES) else None


def label(option: str | Labels, path: str, location: str | Path | None = None, came: str | None = None):
    labels = parse_labels(option) if isinstance(option, str) else option
    return label_for(labels, Source(path, Path(location or path), came), match)


def table(tmp_path: Path, text: str, encoding: str = "utf-8") -> str:
    (tmp_path / "labels.csv").write_text(text, encoding=encoding)
    return str(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("location", "came", "expected"),
    [
        ("data/Cat/1.png", None, (1, "folder")),
        ("data/2/1.png", None, (2, "folder")),
        ("data/cat/1.png", "dog", (2, "record")),
        ("data/cat/1.png", "zebra", (1, "folder")),
        ("data/zebra/1.png", "zebra", (None, "predicted")),
        ("data/7/1.png", None, (None, "predicted")),
        ("data/cat/sub/1.png", None, (None, "predicted")),
    ],
)
def test_auto_takes_what_came_along_then_the_folder_then_the_prediction(location, came, expected):
    assert label("auto", "1.png", location, came) == expected


def test_the_folder_is_the_one_on_the_disk(tmp_path, monkeypatch):
    (tmp_path / "cat" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cat")
    assert label("auto", "1.png") == (1, "folder")
    monkeypatch.chdir(tmp_path / "cat" / "sub")
    assert label("auto", "1.png", "../1.png") == (1, "folder")


def test_a_linked_class_folder_bears_the_name_of_the_link(tmp_path):
    (tmp_path / "n02124075").mkdir()
    (tmp_path / "cat").symlink_to("n02124075")
    assert label("auto", "cat/1.png", tmp_path / "cat" / "1.png") == (1, "folder")


def test_folder_insists():
    assert label("folder", "dog/1.png", came="cat") == (2, "folder")
    with pytest.raises(ImageError) as caught:
        label("folder", "zebra/1.png")
    assert caught.value.message == "zebra/1.png: its folder 'zebra' is no class"
    assert "--labels predicted" in caught.value.hint


def test_predicted_asks_nobody_else():
    assert label("predicted", "cat/1.png", came="dog") == (None, "predicted")


@pytest.mark.parametrize("header", ["path,label", "file,class", "Filename, Label", "image,split,class", "label,path"])
def test_a_table_may_name_its_columns_in_several_ways(header, tmp_path):
    columns = [column.strip().lower() for column in header.split(",")]
    row = ",".join("dog" if column in {"label", "class"} else "x/1.png" for column in columns)
    assert label(table(tmp_path, f"{header}\n{row}\n"), "x/1.png") == (2, "file")


def test_a_table_is_read_with_byte_order_mark_quotes_and_blank_lines(tmp_path):
    option = table(tmp_path, 'path,label\r\n\r\n"a, b.png" , 1\r\n./c.png,Dog\r\n', "utf-8-sig")
    assert label(option, "a, b.png") == (1, "file")
    assert label(option, "c.png") == (2, "file")


def test_a_row_is_found_by_the_path_first_and_by_its_end_where_that_is_unique(tmp_path):
    option = table(tmp_path, "path,label\nval/cat/1.png,cat\nval/dog/1.png,dog\n2.png,dog\n1.png,airplane\n")
    assert label(option, "val/cat/1.png") == (1, "file")
    assert label(option, "1.png") == (0, "file")
    assert label(option, "some/where/2.png") == (2, "file")
    assert label(table(tmp_path, "path,label\nval/dog/1.png,dog\n"), "dog/1.png") == (2, "file")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("3.png", "3.png has no row in the --labels file"),
        ("x/1.png", "x/1.png has no row in the --labels file"),
        ("1.png", "1.png has 2 rows in the --labels file"),
        ("2.png", "2.png: 'zebra' is no class of the model"),
    ],
)
def test_a_missing_or_ambiguous_row_and_an_unknown_class_concern_one_image(path, message, tmp_path):
    option = table(tmp_path, "path,label\ncat/1.png,cat\ndog/1.png,dog\n2.png,zebra\n")
    with pytest.raises(ImageError) as caught:
        label(option, path)
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path or file or filename or image"),
        ("a,b\n1,2\n", "has no column path or file or filename or image"),
        ("path,b\n1,2\n", "has no column label or class"),
        ("path,label\n1.png\n", "line 2 lacks a path or a label"),
        ("path,label\n,cat\n", "line 2 lacks a path or a label"),
        ("path,label\n1.png,cat\n./1.png,dog\n", "line 3 gives 1.png a second label"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(text, message, tmp_path):
    with pytest.raises(UsageError) as caught:
        parse_labels(table(tmp_path, text))
    assert message in caught.value.message
    assert caught.value.hint


def test_the_same_row_twice_is_no_contradiction(tmp_path):
    assert label(table(tmp_path, "path,label\n1.png,cat\n1.png,cat\n"), "1.png") == (1, "file")


@pytest.mark.parametrize("option", ["fodler", "file", "no/labels.csv"])
def test_an_option_that_is_no_way_and_no_file_is_refused(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=rf"^--labels {option}: ") as caught:
        parse_labels(option)
    assert "auto, folder, predicted or a CSV file" in caught.value.hint


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"path,label\n\xff\xfe,cat\n")
    with pytest.raises(UsageError, match="is not CSV in UTF-8"):
        parse_labels(str(tmp_path / "x.csv"))


def test_labels_travel_to_another_process(tmp_path):
    labels = parse_labels(table(tmp_path, "path,label\ncat/1.png,cat\n"))
    label(labels, "1.png")
    assert pickle.loads(pickle.dumps(labels)) == labels


def test_an_empty_option_is_called_empty():
    with pytest.raises(UsageError, match="--labels '' is empty"):
        parse_labels("")


def test_numbers_are_classes_only_where_every_folder_is_a_number():
    sources = [Source(f"{name}/1.png", Path(f"/photos/{name}/1.png")) for name in ("0", "1", "2")]
    assert label_for(for_folders(Labels("auto"), sources), sources[1], lambda word: int(word)) == (1, "folder")
    mixed = [*sources, Source("cat/1.png", Path("/photos/cat/1.png"))]
    assert label_for(for_folders(Labels("auto"), mixed), sources[1], lambda word: int(word)) == (None, "predicted")
    assert for_folders(Labels("folder"), mixed) == Labels("folder")
