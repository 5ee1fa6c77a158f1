"""What the user names becomes a list of pictures whose identities are unique, relative and independent of the order."""

import io
import json
import os
import random
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advcli.errors import NoInputError, UsageError
from advcli.images.finding import Source, find
from advcli.images.sources import is_identity


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def paths(*arguments: str, stdin: bytes = b"", **options: bool) -> list[str]:
    return [source.path for source in find(arguments, stdin=io.BytesIO(stdin), **options)]


def listed(path: str, named: str, label: str | None = None) -> Source:
    return Source(path, Path.cwd() / named, label, named)


def lines(*records: dict[str, object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_a_folder_gives_its_pictures_sorted_and_relative():
    touch(
        "photos/dog/2.jpg", "photos/dog/1.PNG", "photos/cat/a/b/3.tif", "photos/0.webp", "photos/x.gif", "photos/x.bmp"
    )
    assert paths("photos") == ["0.webp", "cat/a/b/3.tif", "dog/1.PNG", "dog/2.jpg", "x.bmp", "x.gif"]
    found = find(["photos"])[1]
    assert (found.location, found.shown) == (Path.cwd() / "photos/cat/a/b/3.tif", "photos/cat/a/b/3.tif")


@pytest.mark.parametrize("argument", ["photos/", "./photos", "photos/../photos", "photos/cat/.."])
def test_a_folder_may_be_spelt_in_any_way(argument):
    touch("photos/cat/1.png")
    assert paths(argument) == ["cat/1.png"]


def test_the_working_directory_is_a_folder_too():
    touch("cat/1.png")
    assert find(["."]) == [listed("cat/1.png", "cat/1.png")]


def test_other_files_and_hidden_ones_in_a_folder_are_left_out():
    touch("p/1.png", "p/notes.txt", "p/png", "p/.hidden.png", "p/.thumbs/2.png", "p/._1.png")
    assert paths("p") == ["1.png"]


def test_a_hidden_folder_is_listed_where_it_is_named():
    touch(".thumbs/1.png", ".thumbs/.2.png")
    assert paths(".thumbs") == ["1.png"]


def test_pipes_and_sockets_in_a_folder_are_left_out():
    touch("p/1.png")
    os.mkfifo("p/2.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("p/3.png")
        Path("p/4.png").symlink_to("2.png")
        assert paths("p") == ["1.png"]


def test_a_file_is_listed_whatever_its_suffix_or_hiddenness():
    touch("photos/notes.txt", ".x.png")
    assert paths("photos/notes.txt", ".x.png") == ["notes.txt", ".x.png"]


def test_a_missing_file_is_listed_beside_one_that_exists():
    touch("1.png")
    assert paths("1.png", "2.png", "no/3.png") == ["1.png", "2.png", "3.png"]


def test_the_order_of_arguments_is_kept():
    touch("b.png", "a/2.png", "a/1.png")
    assert paths("b.png", "a") == ["b.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.png"], "no.png does not exist"),
        (["no/no.png"], "no/no.png does not exist"),
        (["no/.."], "no/.. does not exist"),
        (["1.txt/x.png"], "1.txt/x.png does not exist"),
        (["empty"], "empty holds no pictures"),
        (["empty/*.png"], "no picture matches empty/*.png"),
        (["*/*"], "no picture matches */*"),
        (["no.png", "empty"], "no.png does not exist; 1 more gave no picture either"),
        (["two\nlines"], r"'two\nlines' does not exist"),
        (["-"], "stdin named no picture"),
    ],
)
def test_nothing_found_is_said_with_the_name(arguments, message):
    touch("empty/notes.txt", "1.txt")
    with pytest.raises(NoInputError) as caught:
        find(arguments, stdin=io.BytesIO())
    assert caught.value.message == message
    assert caught.value.exit_code == 4
    assert "quoted globs" in caught.value.hint


def test_an_empty_argument_is_refused():
    with pytest.raises(UsageError, match="one of the inputs is empty"):
        find([""])


def test_a_folder_that_cannot_be_read_is_listed_itself(monkeypatch):
    touch("p/1.png", "p/locked/2.png")
    scandir = os.scandir

    def guarded(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # chmod forbids nothing to root
    assert paths("p") == ["1.png", "locked"]
    assert paths("p/locked") == ["locked"]


def test_links_in_a_circle_end():
    touch("p/a/1.png")
    Path("p/a/again").symlink_to("..")
    Path("p/self").symlink_to("self")
    Path("p/b.png").symlink_to("b.png")
    Path("p/c").mkdir()
    Path("p/c/d").symlink_to("../e")
    Path("p/e").mkdir()
    Path("p/e/c").symlink_to("../c")
    assert paths("p") == ["a/1.png", "b.png"]
    assert paths("p/**/*.png") == ["a/1.png", "b.png"]
    touch("beside.png")
    Path("p/up").symlink_to("..")
    assert paths("p") == ["a/1.png", "b.png"]


def test_a_linked_folder_is_followed_once_and_renames_nothing():
    touch("store/felines/1.png", "p/real/2.png")
    Path("p/cat").symlink_to("../store/felines")
    Path("p/cat2").symlink_to("../store/felines")
    Path("p/a").symlink_to("real")
    assert paths("p") == ["cat/1.png", "real/2.png"]
    assert paths("p", "store") == ["felines/1.png", "real/2.png"]


def test_linked_files_are_pictures_of_their_own():
    touch("blob", "p/x.txt")
    Path("p").mkdir(exist_ok=True)
    Path("p/1.png").symlink_to("../blob")
    Path("p/2.png").symlink_to("../blob")
    Path("p/3.png").symlink_to("nowhere")
    assert paths("p") == ["1.png", "2.png", "3.png"]


def test_globs_are_relative_to_their_fixed_part():
    touch("data/cat/1.png", "data/dog/1.png", "data/dog/2.jpg", "data/dog/deep/3.png")
    assert paths("data/*/1.png") == ["cat/1.png", "dog/1.png"]
    assert paths("data/dog/?.png") == ["1.png"]
    assert paths("data/[cd]o*/*.jp*g") == ["dog/2.jpg"]
    assert paths("data/**/*.png") == ["cat/1.png", "dog/1.png", "dog/deep/3.png"]
    assert paths("**/deep/*.png") == ["data/dog/deep/3.png"]
    assert paths("**/dog/**/*.png") == ["data/dog/1.png", "data/dog/deep/3.png"]
    assert paths(f"{Path.cwd()}/data/*/1.png") == ["cat/1.png", "dog/1.png"]
    assert paths("./data/../data/*/2.*") == ["dog/2.jpg"]


def test_a_folder_that_matches_stands_for_its_pictures():
    touch("data/cat/1.png", "data/dog/deep/2.png", "data/notes.txt", "data/3.png")
    assert paths("data/*") == paths("data/**") == ["3.png", "cat/1.png", "dog/deep/2.png"]
    assert paths("data/d*") == ["dog/deep/2.png"]


def test_a_glob_with_a_suffix_means_what_it_says():
    touch("data/1.raw", "data/2.png")
    assert paths("data/*") == ["2.png"]
    assert paths("data/*.*") == ["1.raw", "2.png"]


def test_hidden_files_match_only_a_dot():
    touch("data/.a/1.png", "data/.2.png", "data/3.png")
    assert paths("data/**/*.png") == ["3.png"]
    assert paths("data/.*") == [".2.png", ".a/1.png"]


def test_a_file_with_brackets_in_its_name_means_itself():
    touch("a[1].png", "a1.png")
    assert paths("a[1].png") == ["a[1].png"]
    Path("a[1].png").unlink()
    assert paths("a[1].png") == ["a1.png"]


def test_a_glob_under_the_home_folder(monkeypatch, folder):
    monkeypatch.setenv("HOME", str(folder / "home"))
    touch("home/photos/1.png")
    assert paths("~/photos/*.png") == ["1.png"]
    with pytest.raises(NoInputError, match="no picture matches ~nobody-at-all/"):
        find(["~nobody-at-all/*.png"])


def test_a_glob_cannot_go_up_after_a_wildcard():
    touch("data/cat/1.png")
    with pytest.raises(UsageError, match="goes up after a wildcard"):
        find(["data/*/../*.png"])


def test_files_of_one_name_get_the_folders_that_tell_them_apart():
    touch("x/1/a.png", "y/1/a.png", "z/a.png", "z/b.png")
    assert paths("x/1/a.png", "y/1/a.png", "z/a.png", "z/b.png") == ["x/1/a.png", "y/1/a.png", "z/a.png", "b.png"]
    assert paths("x", "y") == ["x/1/a.png", "y/1/a.png"]


def test_a_longer_name_never_meets_one_that_is_there():
    touch("p/1.png", "q/1.png", "r/p/1.png")
    assert sorted(paths("p/1.png", "q/1.png", "r")) == ["q/1.png", "r/p/1.png", f"{Path.cwd().name}/p/1.png"]


def test_a_file_named_twice_is_listed_once_under_its_longer_name():
    touch("photos/cat/1.png", "photos/2.png")
    for arguments in (
        ["photos", "photos/cat/1.png"],
        ["photos/cat/1.png", "photos"],
        ["photos/cat", "photos", "photos"],
    ):
        assert sorted(paths(*arguments)) == ["2.png", "cat/1.png"]
    assert paths("photos/cat/1.png", f"{Path.cwd()}/photos/../photos/cat/1.png") == ["1.png"]
    Path("link").symlink_to("photos")
    assert paths("photos", "link") == ["2.png", "cat/1.png"]


def test_names_that_are_no_utf8_are_spelt_out():
    Path(os.fsdecode(b"caf\xe9.png")).touch()
    (source,) = find(["."])
    assert source.path == r"caf\udce9.png"
    assert os.fsencode(source.named) == b"caf\xe9.png"


def test_names_that_read_alike_are_told_apart_by_a_digest():
    Path(os.fsdecode(b"caf\xe9.png")).touch()
    Path(r"caf\udce9.png").touch()
    first, second = find(["."])
    assert first.path != second.path
    assert all("caf\\udce9.png~" in source.path for source in (first, second))
    assert {source.path for source in find([*map(str, Path().iterdir())])} == {first.path, second.path}


def test_a_home_folder_is_found_under_its_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    touch("photos/1.png")
    assert [source.location for source in find(["~/photos"])] == [tmp_path / "photos/1.png"]


def test_stdin_gives_paths_line_by_line():
    touch("p/1.png", "p/2.png", "a b.png", "x[1].png")
    assert paths("-", stdin=b"a b.png\n\np\r\nx[1].png") == ["a b.png", "1.png", "2.png", "x[1].png"]
    assert paths("p/2.png", "-", stdin=b"a b.png\n") == ["2.png", "a b.png"]


def test_stdin_may_be_separated_by_nul():
    touch("two\nlines.png", "{.png")
    assert paths("-", stdin=b"{.png\0two\nlines.png\0", null_separated=True) == ["{.png", "two\nlines.png"]
    with pytest.raises(UsageError) as caught:
        find(["-"], stdin=io.BytesIO(b"1.png\0two\nlines.png\0"))
    assert caught.value.hint == "add -0"


def test_a_record_stands_for_its_source_and_keeps_its_identity_and_label():
    touch("p/cat/1.png", "p/cat/2.png")
    records = lines(
        {"path": "cat/1.png", "source": "p/cat/1.png", "label": "cat", "label_source": "folder"},
        {
            "path": "cat/2.png",
            "source": "p/cat/2.png",
            "label": "dog",
            "label_source": "predicted",
            "files": {"map": "m.png"},
        },
    )
    assert find(["-"], stdin=io.BytesIO(records)) == [
        listed("cat/1.png", "p/cat/1.png", "cat"),
        listed("cat/2.png", "p/cat/2.png"),
    ]


def test_a_record_of_an_attack_stands_for_the_adversarial_picture():
    touch("p/1.png", "out/images/1.png.adversarial.png")
    record = {"path": "1.png", "source": "p/1.png", "files": {"adversarial": "out/images/1.png.adversarial.png"}}
    assert find(["-"], stdin=io.BytesIO(b"\xef\xbb\xbf" + lines(record))) == [
        listed("1.png", "out/images/1.png.adversarial.png")
    ]


def test_one_image_under_two_cases_is_two_pictures_with_its_label():
    touch("out/1.png.pgd.adversarial.png", "out/1.png.fgsm.adversarial.png")
    records = lines(
        *(
            {
                "item": "cat/1.png",
                "path": "cat/1.png",
                "source": "p/cat/1.png",
                "case": case,
                "label": "cat",
                "label_source": "folder",
                "files": {"adversarial": f"out/1.png.{case}.adversarial.png"},
            }
            for case in ("pgd", "fgsm")
        )
    )
    assert find(["-"], stdin=io.BytesIO(records)) == [
        listed(f"cat/1.png.{case}", f"out/1.png.{case}.adversarial.png", "cat") for case in ("pgd", "fgsm")
    ]


def test_several_pictures_of_one_image_are_told_apart_by_their_files():
    touch("out/a.1.png", "out/a.2.png")
    records = lines(*({"path": "a", "source": "s", "files": {"adversarial": f"out/a.{n}.png"}} for n in (1, 2)))
    assert paths("-", stdin=records) == ["out/a.1.png", "out/a.2.png"]


def test_one_image_explained_twice_is_one_picture():
    touch("p/1.png")
    records = lines(*({"path": "1.png", "source": "p/1.png", "method": method} for method in ("a", "b")))
    assert paths("-", stdin=records) == ["1.png"]


def test_records_of_cases_that_do_not_apply_are_passed_over():
    touch("1.png", "2.png")
    records = ({"item": f"{n}.png", "source": f"{n}.png", "status": s} for n, s in ((1, "not-applicable"), (2, "ok")))
    assert paths("-", stdin=lines(*records)) == ["2.png"]


def test_records_of_failures_are_passed_over():
    touch("1.png")
    failure = {"path": "x.png", "source": "x.png", "status": "error"}
    assert paths("-", stdin=lines(failure, {"path": "1.png", "source": "1.png", "status": "ok"})) == ["1.png"]
    with pytest.raises(NoInputError, match="stdin named no picture"):
        find(["-"], stdin=io.BytesIO(lines(failure)))


@pytest.mark.parametrize("path", ["/etc/1.png", "../1.png", "a/../../1.png", "", "a//b", None, 7, "a\0b"])
def test_an_identity_that_leads_elsewhere_is_not_believed(path):
    touch("p/1.png")
    assert paths("-", stdin=lines({"path": path, "source": "p/1.png"})) == ["1.png"]


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (b"{weird}.png\n", "line 1 on stdin is not a record"),
        (b'{"source": "1.png"}\n{"source', "line 2 on stdin is not a record"),
        (b'{"source": "1.png"}\n[1]\n', "line 2 on stdin is JSON, but no record"),
        (b'{"path": "1.png"}', "the record on line 1 of stdin names no picture"),
        (b'{"source": ""}', "the record on line 1 of stdin names no picture"),
        (b'{"source": 7}', "the record on line 1 of stdin names no picture"),
        (b'{"source": "a\\u0000b"}', "the record on line 1 of stdin names no picture"),
        (b'{"source": "a\\ud800b"}', "the record on line 1 of stdin names no picture"),
        (b'{"source": "\xff"}', "line 1 on stdin is not a record"),
    ],
)
def test_lines_that_are_no_records_are_refused_by_number(stdin, message):
    with pytest.raises(UsageError) as caught:
        find(["-"], stdin=io.BytesIO(stdin))
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message


def test_records_whose_pictures_are_all_missing_say_so():
    records = lines(
        {"path": "1", "source": "s", "files": {"adversarial": "images/1.png"}}, {"path": "2", "source": "2.png"}
    )
    with pytest.raises(
        NoInputError, match=r"none of the 2 pictures named on stdin exists; images/1\.png does not exist"
    ):
        find(["-"], stdin=io.BytesIO(records))


def test_without_arguments_the_samples_are_listed():
    assert [source.path for source in find([])] == ["cat.png", "horse.png", "rocket.jpg", "coffee.png"]


NAMES = st.sampled_from(["a", "b", "c"])
FILES = st.lists(
    st.lists(NAMES, max_size=3).map(lambda parts: "/".join(["r", *parts, "x.png"])), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, data=st.data())
def test_identities_are_unique_and_relative_and_blind_to_order(files, data, tmp_path_factory):
    os.chdir(tmp_path_factory.mktemp("tree"))
    touch(*files)
    folders = [str(parent) for file in files for parent in Path(file).parents if parent != Path()]
    arguments = data.draw(st.lists(st.sampled_from([*files, *folders, "r/*", "r/**/x.png"]), min_size=1, max_size=5))
    found = find(arguments)
    identities = [source.path for source in found]
    assert len(set(identities)) == len(found) == len({source.location.resolve() for source in found})
    assert all(
        is_identity(path) and str(source.location).endswith(f"/{path}")
        for path, source in zip(identities, found, strict=True)
    )
    random.Random(0).shuffle(arguments)
    assert set(find(arguments)) == set(found)
