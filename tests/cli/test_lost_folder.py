"""A folder of results that is deleted or moved away while a run is at work in it."""

import shutil
import threading
import time

import pytest

SLOWLY = ["--method", "pgd:steps=6", "--no-early-exit", "--batch-size", "1", "--no-panels", "--limit", "4"]


def deleted(folder):
    while folder.exists():  # the run writes on
        shutil.rmtree(folder, ignore_errors=True)


def moved(folder):
    folder.rename(folder.with_name("elsewhere"))


def after_the_first_record(folder, lose):
    """Wait for a record, then lose the folder."""

    def wait():
        ledger, end = folder / "records.jsonl", time.monotonic() + 60
        while time.monotonic() < end and not (ledger.exists() and ledger.stat().st_size):
            time.sleep(0.01)
        lose(folder)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("lose", [deleted, moved])
def test_a_folder_that_is_lost_ends_the_run_with_one_line(main, photos, out, lose):
    thread = after_the_first_record(out, lose)
    done = main("attack", photos / "cat", *SLOWLY, "--out", out)
    thread.join()
    assert done.code == 2, done
    assert done.err.count("error: ") == 1
    assert f"{out} was deleted or moved away during the run" in done.err
    assert "hint: " in done.err
    shutil.rmtree(out, ignore_errors=True)
    assert main("attack", photos / "cat", "--limit", "1", "--out", out).code == 0


def test_records_that_are_deleted_end_the_run_and_are_done_again(main, photos, out):
    thread = after_the_first_record(out, lambda folder: (folder / "records.jsonl").unlink())
    done = main("attack", photos / "cat", *SLOWLY, "--out", out)
    thread.join()
    assert done.code == 2, done
    assert "records.jsonl was deleted or replaced during the run" in done.err
    done = main("attack", photos / "cat", *SLOWLY, "--out", out, "--json")
    assert (done.code, done.json()["summary"]["images"]) == (0, 4)


@pytest.mark.parametrize("name", ["render_page", "run"])
def test_a_folder_that_is_lost_at_the_end_is_no_success(main, photos, out, monkeypatch, name):
    import advcli.runs.life as life

    whole = getattr(life, name)

    def lost(*arguments):
        result = whole(*arguments)
        deleted(out)
        return result

    monkeypatch.setattr(life, name, lost)
    done = main("attack", photos / "cat", "--limit", "1", "--out", out)
    assert done.code == 2, done
    assert done.err.count("error: ") == 1
