"""Methods and their settings, as texts and as values."""

import pytest

from advcli.errors import UsageError
from advcli.registry import names, number, parse_methods, settings_of, source_of


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


def test_settings_are_filled_in_with_defaults_and_typed():
    (method,) = parse_methods("attack", ["pgd:steps=7,step-size=2/255,random_start=no"], "--method")
    assert method.settings == {"norm": "linf", "steps": 7, "step_size": 2 / 255, "random_start": False}
    (method,) = parse_methods("attack", ["pgd:step_size=none"], "--method")
    assert method.settings["step_size"] is None


def test_a_method_that_is_used_twice_gets_two_labels():
    labels = [method.label for method in parse_methods("attack", ["pgd", "fgsm", "pgd:steps=3"], "--method")]
    assert labels == ["pgd", "fgsm", "pgd-2"]


@pytest.mark.parametrize("kind", ["attack", "attribution"])
def test_every_method_says_what_it_is_and_describes_every_setting(kind):
    for name in names(kind):
        idea, source = source_of(kind, name)
        assert idea.endswith(".")
        assert "http" in source
        for setting in settings_of(kind, name):
            assert setting.description, (name, setting.name)


@pytest.mark.parametrize(
    "text", ["gaussian-noise:sigma=-1", "pgd:step_size=0", "pgd:random_start=maybe", "pgd:=3", "pgd:steps="]
)
def test_values_that_make_no_sense_are_refused(text):
    with pytest.raises(UsageError):
        parse_methods("attack", [text], "--method")
