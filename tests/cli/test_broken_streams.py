"""Standard streams that are closed, full, or read by nobody any more, to the end of the process."""

from functools import partial

import pytest

LOST = [("reader gone", "kept", 141), ("closed", "kept", 2), ("full", "kept", 2), ("full", "full", 2)]
SILENT = ["reader gone", "closed", "full"]
LOOKS = [["--version"], ["compare", "--help"]]  # all others print by the same few functions
RUNS = {
    "paths": ["--limit", "1", "--method", "fgsm", "--no-panels", "-q"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the calls are made."""
    return tmp_path_factory.mktemp("streams")


@pytest.fixture
def call(forked, folder):
    """Call the program there, with streams as a shell would give them."""
    return partial(forked, folder)


def hold(call, arguments, code):
    """Assert what every command does with streams that take nothing."""
    for stdout, stderr, lost in LOST:
        done = call(arguments, stdout, stderr)
        assert done.code == lost, (stdout, stderr, done)
        lines = [line for line in done.err.splitlines() if line.startswith(("error:", "hint:"))]
        assert len(lines) == (2 if lost == 2 and stderr == "kept" else 0), done.err
        assert "Traceback" not in done.err
        assert "Error" not in done.err
    for stderr in SILENT:
        done = call(arguments, stderr=stderr)
        assert done.code == code, (stderr, done)
        assert done.out


@pytest.mark.parametrize("arguments", LOOKS, ids=" ".join)
def test_what_only_prints_ends_with_141_or_one_line(call, arguments):
    hold(call, arguments, 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", RUNS)
def test_a_run_ends_with_141_or_one_line_and_keeps_what_it_did(call, folder, form):
    arguments = ["attack", *RUNS[form], "--out", form]
    first = call(arguments, "reader gone", "reader gone")
    assert first.code == 141, first
    whole = call(arguments)
    assert whole.code == 0, whole
    hold(call, arguments, 0)
    assert (folder / form / "report.json").is_file()


def test_what_is_refused_ends_with_its_own_code(call):
    arguments = ["attack", "--eps", "abc"]
    for stderr in ("kept", *SILENT):
        assert call(arguments, "closed", stderr).code == 2
    assert call(["attack", "no-such.png"], "full", "full").code == 4
