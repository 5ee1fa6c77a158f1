"""Gates hold a run to its figures: the worst case, and every model where there are several."""

import pytest

from advcli.core.report import Report
from advcli.errors import UsageError
from advcli.runs.gates import missed, parse_gate


def report(**summary):
    return Report(
        command="attack", command_line="", settings={}, environment={}, seed=0, block=None, inputs={}, started="",
        summary=summary,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--fail-under", 0.25, "robust_accuracy 0.25 [0.2, 0.3] is under 0.3 (--fail-under)"),
        ("--fail-under", 0.3, None),
        ("--fail-over", 0.3, None),
        ("--fail-over", 0.5, "robust_accuracy 0.5 [0.2, 0.3] is over 0.3 (--fail-over)"),
    ],
)
def test_a_gate_names_figure_interval_and_bound(option, value, expected):
    done = report(robust_accuracy=value, robust_accuracy_low=0.2, robust_accuracy_high=0.3)
    assert missed(parse_gate("robust_accuracy=0.3", option), done) == expected


def test_every_model_has_to_meet_a_gate():
    done = report(errors=1, models=[{"model": "a", "robust_accuracy": 0.5}, {"model": "b", "robust_accuracy": 0.1}])
    gate = parse_gate("robust_accuracy=0.3", "--fail-under")
    assert missed(gate, done) == "b: robust_accuracy 0.1 is under 0.3 (--fail-under)"
    assert missed(parse_gate("robust_accuracy=0.05", "--fail-under"), done) is None
    assert missed(parse_gate("errors=0", "--fail-over"), done) == "errors 1 is over 0 (--fail-over)"


def test_a_figure_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no figure 'robust_accuracy'"):
        missed(parse_gate("robust_accuracy=0.3", "--fail-under"), report(clean_accuracy=1.0, robust_accuracy=None))
