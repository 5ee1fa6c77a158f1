"""Signals at any moment: the exit code that shells know, one line, and the same end afterwards."""

import os
import random
import signal

import pytest

COMMAND = ["attack", "--limit", "3", "--method", "fgsm", "--batch-size", "1", "--out", "out"]
KILLS = 20


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "index.html", ".seen.jsonl")
    }


@pytest.mark.parametrize("after", [0.05, 0.4])
def test_sigterm_in_the_first_second_ends_with_143(forked, tmp_path, after):
    done = forked(tmp_path, COMMAND, sent=signal.SIGTERM, after=after)
    assert done.code in (143, -signal.SIGTERM, 0), done  # the second: before the program could listen
    assert "Traceback" not in done.err
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_pipe_that_nobody_writes_to_is_left_on_one_sigint(forked, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    done = forked(tmp_path, ["attack", "pipe.png", "--out", "out"], sent=signal.SIGINT, after=1.5)
    assert done.code == 130, done
    assert "Traceback" not in done.err
    assert done.err.count("error: ") == 1


def test_a_file_of_forty_gigabytes_without_contents_is_a_record(main, tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(40 * 2**30)
    done = main("attack", tmp_path / "huge.png", "--out", tmp_path / "out")
    assert done.code == 3
    assert "is too large for a picture (42949672960 bytes)" in done.err


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_comes_to_the_same_end(forked, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    assert forked(tmp_path / "whole", COMMAND).code == 0
    moments = random.Random(0)
    for _ in range(KILLS):
        done = forked(tmp_path / "killed", COMMAND, sent=signal.SIGKILL, after=moments.uniform(0, 0.6))
        assert done.code in (0, -signal.SIGKILL), done
    assert forked(tmp_path / "killed", COMMAND).code == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
