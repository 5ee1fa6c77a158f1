"""Scores and their derivatives in the logits, in closed form."""

import pytest
import torch
import torch.nn.functional as F

from advcli.core.scores import Target, score_cotangent, score_value

LOGITS = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
TARGET = torch.arange(7) % 4
P = LOGITS.softmax(1)
ONE = F.one_hot(TARGET, 4).double()
P_TARGET = P.gather(1, TARGET[:, None])


@pytest.mark.parametrize(
    ("score", "value", "derivative"),
    [
        ("logit", LOGITS.gather(1, TARGET[:, None])[:, 0], ONE),
        ("prob", P_TARGET[:, 0], P_TARGET * (ONE - P)),
        ("logprob", P_TARGET[:, 0].log(), ONE - P),
        ("loss", -P_TARGET[:, 0].log(), P - ONE),
    ],
)
def test_values_and_derivatives_are_those_of_the_softmax(score, value, derivative):
    assert torch.allclose(score_value(LOGITS, TARGET, score), value, rtol=1e-12)
    assert torch.allclose(score_cotangent(LOGITS, TARGET, score), derivative, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("score", ["logit", "prob", "logprob", "loss"])
def test_a_row_knows_nothing_of_its_neighbors(score):
    logits = LOGITS.float()
    together = score_cotangent(logits, TARGET, score)
    assert together.dtype == torch.float64
    for row in range(7):
        assert torch.equal(score_cotangent(logits[row : row + 1], TARGET[row : row + 1], score)[0], together[row])


def test_scores_are_not_flat_where_the_network_is_sure():
    sure = torch.tensor([[0.0, 200.0, 0.0]])
    tiny = torch.tensor(-200.0).double().exp()
    probability = score_cotangent(sure, torch.tensor([1]), "prob")
    assert torch.allclose(probability / tiny, torch.tensor([[-1.0, 2.0, -1.0]]).double())
    rival = score_cotangent(sure, torch.tensor([0]), "logprob")
    assert torch.allclose(rival, torch.tensor([[1.0, -1.0, 0.0]]).double())


def test_a_target_gives_the_score_of_the_rows_that_are_chosen():
    target = Target(TARGET, "prob")
    rows = torch.tensor([5, 2, 2])
    assert len(target[rows]) == 3
    assert torch.equal(target[rows].value(LOGITS[rows]), target.value(LOGITS)[rows])
    assert torch.equal(target[rows].cotangent(LOGITS[rows]), target.cotangent(LOGITS)[rows])
    assert target.same_as(Target(TARGET.clone(), "prob"))
    assert not target.same_as(Target(TARGET, "logit"))
    assert not target.same_as(target[rows])


@pytest.mark.parametrize("score", ["logit", "prob", "logprob", "loss"])
def test_a_difference_is_the_score_of_the_one_less_that_of_the_other(score):
    other = (TARGET + 1) % 4
    target = Target(TARGET, score, other)
    for measure in ("value", "cotangent"):
        one, two = (getattr(Target(classes, score), measure)(LOGITS) for classes in (TARGET, other))
        assert torch.equal(getattr(target, measure)(LOGITS), one - two)
    if score == "logprob":  # the other classes cancel
        assert torch.allclose(target.value(LOGITS), Target(TARGET, "logit", other).value(LOGITS))
    rows = torch.tensor([3, 3, 0])
    assert torch.equal(target[rows].value(LOGITS[rows]), target.value(LOGITS)[rows])
    assert target.same_as(Target(TARGET, score, other.clone()))
    assert not target.same_as(Target(TARGET, score))
    assert not Target(TARGET, score).same_as(target)
    assert not target.same_as(Target(TARGET, score, (other + 1) % 4))
    assert not Target(TARGET, score, TARGET).value(LOGITS).any()
