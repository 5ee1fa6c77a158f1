"""What the texts of --target mean, and what is refused."""

import pytest

from advcli.errors import UsageError
from advcli.search.wanted import MOST_CLASSES, Wanted

CLASSES = ("cat", "dog", "sea lion", "all")


def refusal(call, *arguments):
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value.message


@pytest.fixture
def file(tmp_path):
    def write(text):
        (tmp_path / "wanted.csv").write_text(text)
        return str(tmp_path / "wanted.csv")

    return write


def test_all_is_each_class_by_its_name_and_one_called_like_a_word_of_ours_by_its_index():
    assert Wanted.of(["all"]).for_classes("all", CLASSES) == ["cat", "dog", "sea lion", "3"]
    assert Wanted.of(["all"]).rule("3", "a.png", CLASSES) == 3


def test_too_many_classes_for_all_are_refused_with_what_to_do():
    many = [str(place) for place in range(MOST_CLASSES + 1)]
    assert "101" in refusal(Wanted.of(["all"]).for_classes, "all", many)
    assert len(Wanted.of(["all"]).for_classes("all", many[1:])) == MOST_CLASSES


@pytest.mark.parametrize("text", ["rank:1", "rank:0", "rank:", "rank:-2", "rank:2.5", "rank:x", "rank:\u0663"])
def test_what_is_no_rank_is_refused(text):
    assert repr(text) in refusal(Wanted.of, [text])


def test_a_rank_that_a_network_does_not_have_is_refused():
    assert "4 classes" in refusal(Wanted.of(["rank:5"]).for_classes, "rank:5", CLASSES)
    assert Wanted.of(["RANK: 03"]).words == ("rank:3",)


def test_a_file_gives_each_image_its_class_and_is_another_case_with_other_contents(file):
    wanted = Wanted.of([file("path,class\na/0.png,dog\n1.png,sea-lion\n")])
    (word,) = wanted.words
    assert word.startswith("wanted.csv~")
    assert wanted.for_classes(word, CLASSES) == [word]
    assert [wanted.rule(word, path, CLASSES) for path in ("a/0.png", "b/1.png")] == [1, 2]
    assert Wanted.of([file("path,class\na/0.png,cat\n")]).words != wanted.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("path\na.png\n", "no column label or class"),
        ("path,class\na.png,\n", ""),
        ("path,class\na.png,cat\n\n,dog\n", "line 4"),
        ("path,class\na.png,cat\na.png,dog\n", "line 3 gives a.png a second class"),
        ("path,class\na.png\n", "line 2 lacks"),
    ],
)
def test_a_bad_line_of_a_file_is_named(file, text, words):
    path = file(text)
    if words:
        assert words in refusal(Wanted.of, [path])
    else:
        assert "a.png" in refusal(lambda: (w := Wanted.of([path])).for_classes(w.words[0], CLASSES))


def test_a_class_in_a_file_that_the_network_does_not_have_is_named_with_its_picture(file):
    wanted = Wanted.of([file("path,class\na.png,catt\n")])
    message = refusal(wanted.for_classes, wanted.words[0], CLASSES)
    assert "a.png" in message
    assert "'catt'" in message


def test_an_image_without_a_line_is_refused_before_anything_is_done(file):
    wanted = Wanted.of([file("path,class\na.png,cat\n")])
    wanted.require(["x/a.png"])
    assert "b.png" in refusal(wanted.require, ["a.png", "b.png", "c.png"])
    assert "1 more" in refusal(wanted.require, ["a.png", "b.png", "c.png"])


def test_there_is_no_such_file():
    assert "nowhere.csv" in refusal(Wanted.of, ["nowhere.csv"])
