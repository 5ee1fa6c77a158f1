"""The life of a run: what is done is not done again, what does not hold is, and the end is the same however it came."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from advcli.errors import UsageError
from advcli.runs.life import run
from advcli.runs.plan import plan


def lines(config):
    return [json.loads(line) for line in (config.out / "records.jsonl").read_text().splitlines()]


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "index.html", ".seen.jsonl")
    }


def test_every_item_gets_a_record_per_case_in_one_order(config, powers, heard):
    report = run(config, powers(3, (10, 2)))
    assert [(line["item"], line["case"]) for line in lines(config)] == [
        (f"{n:03}", f"power-{p}") for n in range(3) for p in (2, 10)
    ]
    assert heard.records == [(f"{n:03}", f"power-{p}") for n in range(3) for p in (10, 2)]
    assert sum(heard.counts) == 6
    assert report.exit_code == 0
    assert report.axes == {"power": [10, 2]}
    assert [row["numbers"] for row in report.summary["cases"]] == [3, 3]


def test_what_is_done_is_not_done_again(config, powers):
    run(config, powers())
    again = powers()
    run(config, again)
    assert again.computed == []


def test_a_new_case_or_item_is_all_that_is_done(config, powers):
    run(config, powers(3, (2,)))
    more = powers(4, (2, 3))
    run(config, more)
    assert sorted(more.computed) == [(0, 3), (1, 3), (2, 3), (3, 2), (3, 3)]


def test_one_command_and_two_that_add_up_to_it_leave_the_same(config, powers, tmp_path):
    run(config, powers(4, (2, 3)))
    other = replace(config, out=tmp_path / "other")
    run(other, powers(2, (3,)))
    run(other, powers(4, (2,)))
    run(other, powers(4, (3,)))
    assert files(config.out) == files(other.out)


@pytest.mark.parametrize("after", range(1, 9))
def test_an_interruption_keeps_what_is_finished(config, powers, tmp_path, after):
    with pytest.raises(KeyboardInterrupt):
        run(config, powers(5, (2, 3), stop_after=after))
    kept = len(lines(config))
    assert kept >= after
    rest = powers(5, (2, 3))
    run(config, rest)
    assert len(rest.computed) == 10 - kept
    whole = replace(config, out=tmp_path / "whole")
    run(whole, powers(5, (2, 3)))
    assert files(config.out) == files(whole.out)


def test_other_settings_are_refused_by_name(config, powers):
    run(config, powers(settings={"speed": 1}))
    for attempt in (run, plan):
        with pytest.raises(UsageError, match="speed 1 there, 2 now"):
            attempt(config, powers(settings={"speed": 2}))
    run(replace(config, overwrite=True), powers(2, settings={"speed": 2}))
    assert len(lines(config)) == 2


def test_a_broken_item_is_a_record_and_done_again(config, powers):
    report = run(config, powers(3, (2, 3), broken=("001",)))
    assert report.exit_code == 3
    assert [line["status"] for line in lines(config)] == ["ok", "ok", "error", "ok", "ok"]
    mended = powers(3, (2, 3))
    assert run(config, mended).exit_code == 0
    assert mended.computed == [(1, 2), (1, 3)]


FORMS = {
    "blank": b"\n",
    "half": b'{"item": "000", "ca',
    "foreign": b'{"hello": 1}\n',
    "list": b"[1, 2]\n",
    "number": b"1\n",
    "null": b"null\n",
    "binary": b"\xff\xfe\0\n",
    "deep": b"[" * 100_000 + b"\n",
    "no item": b'{"item": null, "case": "power-2"}\n',
    "escaping": b'{"item":"000","case":"power-2","status":"ok","files":{"text":"../../x"},"digests":{}}\n',
    "wrong type": b'{"item": "009", "case": 7, "status": "ok"}\n',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seen", [True, False])
def test_a_damaged_line_costs_no_more_than_itself(config, powers, form, seen):
    run(config, powers(3))
    path = config.out / "records.jsonl"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(FORMS[form] + b"".join(rest))
    if not seen:
        (config.out / ".seen.jsonl").unlink()
    again = powers(3)
    run(config, again)
    assert again.computed in ([(0, 2)], [(0, 2), (1, 2)])  # the half line swallows the one behind it
    assert path.read_bytes().splitlines(keepends=True)[0] == first
    assert len(lines(config)) == 3


def test_an_edited_record_is_noticed(config, powers):
    run(config, powers(3))
    path = config.out / "records.jsonl"
    path.write_text(path.read_text().replace('"value":4', '"value":5'))
    again = powers(3)
    run(config, again)
    assert again.computed == [(2, 2)]
    assert '"value":4' in path.read_text()


@pytest.mark.parametrize("damage", ["empty", "truncated", "swapped", "folder", "gone", "old"])
def test_a_damaged_picture_is_noticed(config, powers, damage):
    run(config, powers(11))
    picture = config.out / "images" / "010.power-2.txt.png"
    before = picture.read_bytes()
    if damage == "empty":
        picture.write_bytes(b"")
    elif damage == "truncated":
        picture.write_bytes(before[:1])
    elif damage == "swapped":
        picture.write_bytes((config.out / "images" / "009.power-2.txt.png").read_bytes())
    elif damage == "old":
        picture.write_bytes(b"999")
        os.utime(picture, (0, 0))
    else:
        picture.unlink()
        if damage == "folder":
            picture.mkdir()
    again = powers(11)
    if damage == "folder":
        run(config, again)
        assert lines(config)[10]["status"] == "error"
    else:
        run(config, again)
        assert picture.read_bytes() == before
    assert again.computed == [(10, 2)]


@pytest.mark.parametrize("change", ["content", "old content", "touched", "moved"])
def test_a_changed_file_is_noticed_whatever_its_time_stamp(config, powers, tmp_path, change):
    file, other = tmp_path / "input", tmp_path / "other"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # of "one"
    command = powers(2, files={1: file})
    original = command.work

    def work(todo, known):
        for product in original(todo, known):
            stat = file.stat()
            yield replace(
                product,
                record=product.record.model_copy(update={"sha256": digest}),
                stat=(stat.st_size, stat.st_mtime_ns, stat.st_ino),
            )

    command.work = work
    run(config, command)
    if change == "content":
        file.write_bytes(b"six")
    elif change == "old content":
        file.write_bytes(b"six")
        os.utime(file, (0, 0))
    elif change == "touched":
        os.utime(file)
    else:
        shutil.move(other, file)
    again = powers(2, files={1: file})
    run(config, again)
    assert again.computed == ([] if change == "touched" else [(1, 2)])


def test_a_copied_folder_is_believed_after_a_look_at_its_bytes(config, powers, tmp_path):
    run(config, powers(3))
    shutil.copytree(config.out, tmp_path / "copy")
    again = powers(3)
    run(replace(config, out=tmp_path / "copy"), again)
    assert again.computed == []


def test_leftovers_of_a_killed_run_are_removed(config, powers):
    run(config, powers(2))
    leftover = config.out / "images" / ".0123456789abcdef.tmp"
    leftover.write_bytes(b"half a picture")
    run(config, powers(2))
    assert not leftover.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"block": "x"}', "null", '{"schema_version": 2, "command": "powers"}']
)
def test_a_damaged_report_is_one_clear_refusal(config, powers, text):
    run(config, powers(2))
    (config.out / "report.json").write_text(text)
    for attempt in (run, plan):
        with pytest.raises(UsageError, match=r"not the report of a run|schema version"):
            attempt(config, powers(2))
    run(replace(config, overwrite=True), powers(2))
    assert len(lines(config)) == 2


def test_a_folder_that_holds_something_else_is_left_alone(config, powers):
    config.out.mkdir()
    (config.out / "thesis.tex").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="holds no run"):
            run(replace(config, overwrite=overwrite), powers())
    assert [path.name for path in config.out.iterdir()] == ["thesis.tex"]


def test_a_ledger_that_is_a_folder_is_one_clear_refusal(config, powers):
    run(config, powers(2))
    for name in ("records.jsonl", ".seen.jsonl"):
        path = config.out / name
        path.unlink()
        path.mkdir()
        with pytest.raises(UsageError, match="cannot be read"):
            run(config, powers(2))
        path.rmdir()


def test_a_plan_says_what_a_run_would_do_and_writes_nothing(config, powers):
    planned = plan(config, powers(3, (2, 3)))
    assert (planned.listed, planned.total, planned.done) == (3, 6, 0)
    assert not config.out.exists()
    run(config, powers(3, (2,)))
    before = files(config.out)
    planned = plan(config, powers(4, (2, 3)))
    assert (planned.total, planned.done, planned.first, planned.more) == (8, 3, ("000", "001", "002", "003"), 0)
    assert files(config.out) == before
