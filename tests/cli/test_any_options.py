"""Every option of every command, as typer knows them, with values of every kind: a result or one line, nothing else.

The commands and their options are read off the program, so that a new one is tried as soon as it exists.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from advcli.cli.app import app

ALLOWED = {0, 1, 2, 3, 4, 5}
ONE_LINE = {1, 2, 4, 5}
WORDS = [
    "", " ", "0", "1", "-1", "2", "0.5", "1/255", "8/255", "1/0", "nan", "inf", "-inf", "1e400", "9" * 30, "1,2",
    ",", "a=b", "=", "cat", "second", "rank:2", "all", "none", "auto", "cpu", "gradient", "pgd", "pgd:steps=1", "pgd:",
    "fgsm,fgsm", "fgsm:norm=l2", ":", "~", ".", "one.png", "/dev/null", "no-such-file.csv", "x.py:f", "%s", "{}", "\\",
    "é", "1,2,3", "\x1b[31m", "\u202e", "a\nb",
]  # fmt: skip
ELSEWHERE = {"--out", "--install-completion", "--show-completion", "--watch", "--download"}


def leaves(group, path=()):
    """Find the commands below a group, by their words."""
    found = {}
    for name, command in group.commands.items():
        inner = hasattr(command, "commands")
        found |= leaves(command, (*path, name)) if inner else {(*path, name): command}
    return found


COMMANDS = leaves(typer.main.get_command(app))
RUNS = [words for words, command in COMMANDS.items() if any(one.name == "dry_run" for one in command.params)]


def options_of(words):
    options = [one for one in COMMANDS[words].params if one.param_type_name == "option"]
    return [one for one in options if not ELSEWHERE & set(one.opts)]


def encodable(text):
    """Whether a shell could hand a text over."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def typed(option):
    """Draw an option as it is typed: a flag, or a name with a value that may or may not have a meaning."""
    name = st.sampled_from([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return name.map(lambda word: [word])
    known = [word for word in (option.metavar or "").replace("[,...]", "").split("|") if word]
    words = st.sampled_from(WORDS + known) | st.text(max_size=8).filter(encodable)
    return st.tuples(name, words).map(list)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with one picture, in which the calls are made."""
    folder = tmp_path_factory.mktemp("any")
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(folder / "one.png")
    return folder


@pytest.fixture
def placed(here, monkeypatch):
    """Work there, with nothing of the caller's home within reach."""
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.setenv("MPLCONFIGDIR", str(here.parent))
    return here


def check(done, folder: Path) -> None:
    """Assert a code that is documented, messages of one line, and nothing outside OUT."""
    assert done.code in ALLOWED, (done.code, done.err)
    assert "Traceback" not in done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 if done.code in ONE_LINE else len(errors) <= 1, done.err
    assert "\x1b" not in done.err
    assert {path.name for path in folder.iterdir()} <= {"one.png", "out"}, list(folder.iterdir())
    shutil.rmtree(folder / "out", ignore_errors=True)


def test_the_program_has_options_to_try():
    assert set(RUNS) >= {("attack",), ("compare",), ("train",)}
    assert min(len(options_of(words)) for words in RUNS) > 15
    assert {"--eps", "--model"} <= {name for option in options_of(("attack",)) for name in option.opts}


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_option_alone_with_rubbish_is_a_result_or_one_line(main, placed, words):
    dry = ["--dry-run", "--out", "out"] if words in RUNS else []
    for place, option in enumerate(options_of(words)):
        if not option.is_flag:  # those are tried together
            check(main(*words, option.opts[0], ("", "\x1b[31m\n", "9" * 30)[place % 3], *dry), placed)


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_options_together_are_a_result_or_one_line(main, placed, words, data):
    chosen = data.draw(st.lists(st.sampled_from(options_of(words)), min_size=1, max_size=4, unique_by=id))
    rest = [word for option in chosen for word in data.draw(typed(option))]
    check(main(*words, *rest, "--dry-run", "--out", "out"), placed)
