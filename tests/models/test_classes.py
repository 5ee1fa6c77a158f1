"""Class names: read, made up, told apart, and found again."""

import json

import pytest

from advcli.errors import UsageError
from advcli.models.classes import distinct, from_file, made_up, match, resolve_class

ANIMALS = ("tabby cat", "Sea-Lion", "great_white shark", "crane")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("\ufeffcat\r\ngreat white shark  \r\n\r\n", ("cat", "great white shark")),
        (json.dumps(["cat", "dog"]), ("cat", "dog")),
        (json.dumps({"1": "dog", "0": "cat"}), ("cat", "dog")),
        (json.dumps({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}), ("tench", "goldfish")),
        (json.dumps(["Hündin", "猫"], ensure_ascii=False), ("Hündin", "猫")),
    ],
)
def test_names_are_read_from_text_and_json(tmp_path, text, names):
    (tmp_path / "classes").write_text(text, encoding="utf-8")
    assert from_file(tmp_path / "classes") == names


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"[]", "is empty"),
        (b"cat\n\ndog\n", "no name for class 1"),
        (b'{"0": "cat", "2": "dog"}', "no name for class 1"),
        (b'{"cat": 0}', "not JSON of indices and names"),
        (b'["cat", ', "not JSON of indices and names"),
        (b'["cat", 7]', "no text: 7"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_file_that_leaves_a_class_without_a_name_is_refused(tmp_path, data, reason):
    (tmp_path / "classes").write_bytes(data)
    with pytest.raises(UsageError, match=reason) as caught:
        from_file(tmp_path / "classes")
    assert "--classes" in caught.value.message
    assert "one name a line" in caught.value.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read --classes .*nowhere.txt: No such file"):
        from_file(tmp_path / "nowhere.txt")


def test_a_name_for_two_classes_is_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("crane\ncat\ncrane\n")
    with pytest.raises(UsageError, match="calls classes 0, 2 all 'crane'"):
        from_file(tmp_path / "classes.txt")


def test_the_two_cranes_of_imagenets_usual_list_are_told_apart(tmp_path):
    from torchvision.models import ResNet18_Weights

    names = [name.replace("crane bird", "crane") for name in ResNet18_Weights.DEFAULT.meta["categories"]]
    (tmp_path / "classes.txt").write_text("\n".join(names))
    read = from_file(tmp_path / "classes.txt")
    assert (read[134], read[517]) == ("crane", "crane (517)")


def test_made_up_names_are_the_indices():
    assert made_up(3) == ("0", "1", "2")


@pytest.mark.parametrize(
    ("names", "result"),
    [
        (("a", "b"), ("a", "b")),
        (("a", "a", "a"), ("a", "a (1)", "a (2)")),
        (("a", "a", "a (1)"), ("a", "a (1) (1)", "a (1)")),
        (("a (1)", "a", "a"), ("a (1)", "a", "a (2)")),
    ],
)
def test_a_repeated_name_gets_its_index(names, result):
    assert distinct(names) == result
    assert len(set(distinct(names))) == len(names)


@pytest.mark.parametrize("word", ["tabby cat", "Tabby-Cat", "tabby_cat", "TABBYCAT", "0"])
def test_case_space_hyphen_and_underscore_do_not_matter(word):
    assert match(word, ANIMALS) == 0


@pytest.mark.parametrize("word", ["4", "-1", "1.0", "²", "lion", "", "9" * 5000])
def test_a_word_that_is_neither_name_nor_index_matches_nothing(word):
    assert match(word, ANIMALS) is None


def test_a_name_goes_before_an_index():
    assert match("1", ("1", "0")) == 0


def test_the_very_name_goes_before_one_that_looks_like_it():
    assert match("sea_lion", ("sea lion", "sea_lion")) == 1


def test_a_word_that_means_two_classes_matches_none():
    assert match("SEALION", ("sea lion", "sea_lion")) is None


def test_a_typed_class_is_resolved_to_its_index():
    assert resolve_class("great white shark", ANIMALS) == 2
    assert resolve_class("3", ANIMALS) == 3


def test_an_unknown_class_is_answered_with_the_closest_names():
    with pytest.raises(UsageError, match="no class 'sea lino'") as caught:
        resolve_class("sea lino", ANIMALS)
    assert caught.value.hint == "closest: Sea-Lion; or an index from 0 to 3"


def test_a_class_like_no_other_is_answered_with_some_names():
    with pytest.raises(UsageError) as caught:
        resolve_class("xyz", ANIMALS)
    assert caught.value.hint == (
        "the classes are tabby cat, Sea-Lion, great_white shark, crane; or an index from 0 to 3"
    )


def test_a_negative_number_is_no_class():
    assert match("-1", ("cat", "dog", "cow")) is None
    assert match("1", ("cat", "dog", "cow")) == 1


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("n01440764", "tench"),
        ("n02124075", "Egyptian cat"),
        ("n02012849", "crane (134)"),
        ("n03126707", "crane (517)"),
        ("n15075141", "toilet tissue"),
    ],
)
def test_wordnet_ids_mean_the_classes_of_imagenet(word, name):
    from torchvision.models import ResNet18_Weights

    names = list(ResNet18_Weights.DEFAULT.meta["categories"])
    names[134], names[517] = "crane (134)", "crane (517)"
    assert names[match(word, names)] == name


def test_a_wordnet_id_that_is_not_imagenets_or_for_other_classes_means_nothing():
    from torchvision.models import ResNet18_Weights

    names = ResNet18_Weights.DEFAULT.meta["categories"]
    assert match("n00000001", names) is None
    assert match("n01440764", ANIMALS) is None
    assert match("n01440764", names[::-1]) is None
    assert match("n01440764", ("n01440764", "other")) == 0
