"""Ids of cases and names of pictures are made of their own values alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advcli.runs.command import Case
from advcli.runs.grid import LONGEST_ID, case_id, is_renamed, natural, numbered, picture_path


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("pgd", "8/255", None, None), "pgd-8_255"),
        (("pgd-steps10", "4/255", "second"), "pgd-steps10-4_255-second"),
        (("grad-cam", None, "prob"), "grad-cam-prob"),
        (("fgsm", "0.03", None, "resnet18"), "fgsm-0.03-resnet18"),
        (("x", "../../etc/passwd"), "x-etc_passwd"),
        (("pgd", "", "a b\n"), "pgd-a_b"),
    ],
)
def test_an_id_is_its_values(parts, expected):
    assert case_id(parts) == expected


def test_a_long_id_is_cut_and_stays_its_own():
    ids = {case_id(["pgd", "x" * 200 + end]) for end in "abc"}
    assert len(ids) == 3
    assert all(len(one) <= LONGEST_ID for one in ids)


def test_the_very_same_case_once_more_gets_a_number():
    cases = numbered([Case("pgd-8_255", {}), Case("fgsm-8_255", {}), Case("pgd-8_255", {}), Case("pgd-8_255", {})])
    assert [case.id for case in cases] == ["pgd-8_255", "fgsm-8_255", "pgd-8_255-2", "pgd-8_255-3"]


def test_numbers_in_ids_are_ordered_as_numbers():
    ids = ["pgd-16_255", "pgd-4_255", "fgsm-8_255", "pgd-4_255-2", None]
    assert sorted(ids, key=natural) == [None, "fgsm-8_255", "pgd-4_255", "pgd-4_255-2", "pgd-16_255"]
    assert sorted(["keep0.1", "keep0.25", "keep0.05"], key=natural) == ["keep0.05", "keep0.1", "keep0.25"]


def test_a_picture_keeps_the_name_of_its_image():
    assert picture_path("cat/0.png", "pgd-8_255.adversarial.png") == "images/cat/0.png.pgd-8_255.adversarial.png"
    assert not is_renamed("cat/0.png")


def test_a_folder_that_is_named_like_a_picture_does_not_meet_it():
    file = picture_path("x.png", "c.adversarial.png")
    inside = picture_path("x.png.c.adversarial.png/y.png", "c.adversarial.png")
    assert not inside.startswith(file + "/")
    assert is_renamed("x.png.c.adversarial.png/y.png")


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_every_name_fits_a_file_system_and_stays_apart(name):
    path = picture_path(f"a/{name}", "case.adversarial.png")
    assert all(len(part.encode()) <= 255 for part in path.split("/"))
    assert path != picture_path(f"a/{name}x", "case.adversarial.png")


def test_a_path_of_thousands_of_characters_gets_a_digest():
    path = picture_path("/".join(["folder"] * 900), "case.panel.png")
    assert len(path) < 100
    assert path != picture_path("/".join(["folder"] * 901), "case.panel.png")
