"""Methods and their settings, as texts and as values."""

import pickle
import subprocess
import sys

import pytest

from advcli.errors import UsageError
from advcli.registry import Quantity, names, number, parse_methods, quantity, settings_of, source_of


@pytest.mark.parametrize(
    ("text", "value"),
    [("8/255", 8 / 255), ("0.5/255", 0.5 / 255), ("0.03", 0.03), ("1e-3", 1e-3), (" 8 / 255 ", 8 / 255)],
)
def test_numbers_may_be_quotients(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "abc", "8/", "/255", "8/255/2", "nan", "inf", "1e999"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        number(text)


def test_a_quantity_keeps_its_text():
    assert quantity(" 8 / 255", "--eps") == Quantity("8/255", 8 / 255)
    for text in ("0", "-1/255", "1/0", "eight"):
        with pytest.raises(UsageError, match="--eps"):
            quantity(text, "--eps")


def test_settings_are_filled_in_with_defaults_and_typed():
    (method,) = parse_methods("attack", ["pgd:steps=7,step-size=2/255,random_start=no"], "--method")
    assert method.settings == {**defaults("pgd"), "steps": 7, "step_size": 2 / 255, "random_start": False}
    (method,) = parse_methods("attack", ["pgd:step_size=none"], "--method")
    assert method.settings["step_size"] is None


def test_a_method_is_called_after_its_changed_settings():
    texts = ["pgd", "pgd:steps=40", "pgd:step_size=2/255,steps=10", "pgd:norm=l2,step_size=0.25"]
    methods = parse_methods("attack", texts, "--method")
    assert [method.id for method in methods] == ["pgd", "pgd", "pgd-steps10-step_size2_255", "pgd-norml2-step_size0.25"]
    assert methods[2].changed == {"steps": 10, "step_size": 2 / 255}


def test_the_second_use_of_the_very_same_method_says_so():
    methods = parse_methods("attack", ["pgd", "fgsm", "pgd:steps=3", "pgd", "pgd:steps=40"], "--method")
    assert [method.occurrence for method in methods] == [1, 1, 1, 2, 3]
    assert [method.id for method in methods] == ["pgd", "fgsm", "pgd-steps3", "pgd", "pgd"]


def test_an_attack_may_bring_its_own_eps():
    (method,) = parse_methods("attack", ["pgd:norm=l2,eps=0.5,1,2,steps=5"], "--method")
    assert [size.text for size in method.eps] == ["0.5", "1", "2"]
    assert method.id == "pgd-norml2-steps5"
    with pytest.raises(UsageError, match="no setting 'eps'"):
        parse_methods("attribution", ["gradient:eps=1"], "--method")


def test_options_in_short_belong_to_every_method_that_does_not_say_it():
    methods = parse_methods("attack", ["pgd", "pgd:norm=l2"], "--method", {"steps": "3", "step_size": None})
    assert [method.settings["steps"] for method in methods] == [3, 3]
    with pytest.raises(UsageError, match="--steps is given beside pgd:steps="):
        parse_methods("attack", ["pgd:steps=3"], "--method", {"steps": "3"})
    with pytest.raises(UsageError, match="fgsm has no --steps"):
        parse_methods("attack", ["fgsm"], "--method", {"steps": "3"})


def test_a_method_travels_to_another_process():
    (method,) = parse_methods("attack", ["pgd:steps=3,eps=4/255"], "--method")
    assert pickle.loads(pickle.dumps(method)) == method


def test_names_are_listed_without_importing_a_method():
    code = "import sys; from advcli.registry import names; names('attack'); print('advcli.attacks' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", ["attack", "attribution"])
def test_every_method_says_what_it_is_and_describes_every_setting(kind):
    for name in names(kind):
        idea, source = source_of(kind, name)
        assert idea.endswith(".")
        assert "http" in source
        for setting in settings_of(kind, name):
            assert setting.description, (name, setting.name)


@pytest.mark.parametrize(
    "text",
    [
        "gaussian-noise:sigma=-1",
        "pgd:step_size=0",
        "pgd:step_size=nan",
        "pgd:random_start=maybe",
        "pgd:=3",
        "pgd:steps=",
        "pgd:steps=0",
        "pgd:steps=1e22",
        "pgd:steps=99999999999999999999",
        "pgd:steps=3,steps=4",
        "pgd:norm=l7",
        "pgd:nonsense=3",
        "pgd:3",
        "pgd:eps=0",
    ],
)
def test_values_that_make_no_sense_are_refused(text):
    with pytest.raises(UsageError):
        parse_methods("attack", [text], "--method")


def test_a_refusal_names_the_setting_and_what_it_takes():
    with pytest.raises(UsageError, match=r"pgd: steps=0: steps should be greater than or equal to 1"):
        parse_methods("attack", ["pgd:steps=0"], "--method")
    with pytest.raises(UsageError, match=r"pgd: norm=l7: norm should be 'linf'"):
        parse_methods("attack", ["pgd:norm=l7"], "--method")


def defaults(name):
    return {setting.name: setting.default for setting in settings_of("attack", name)}
