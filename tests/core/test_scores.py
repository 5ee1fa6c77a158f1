"""Scores and their derivatives in the logits, in closed form."""

import pytest
import torch
import torch.nn.functional as F

from advcli.core.scores import score_cotangent, score_value

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
    assert together.dtype == torch.float32
    for row in range(7):
        assert torch.equal(score_cotangent(logits[row : row + 1], TARGET[row : row + 1], score)[0], together[row])


def test_logprob_is_not_flat_where_the_network_is_sure():
    sure = torch.tensor([[0.0, 200.0, 0.0]])
    assert not score_cotangent(sure, torch.tensor([1]), "prob").any()
    rival = score_cotangent(sure, torch.tensor([0]), "logprob")
    assert torch.allclose(rival, torch.tensor([[1.0, -1.0, 0.0]]))
