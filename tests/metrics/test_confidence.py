"""How sure a network is, against closed forms and scipy."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from advcli.errors import ContractError
from advcli.metrics.confidence import Confidence, fit_temperature


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (50, 7))


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_it_reads_logits_as_scipy_does(logits, temperature):
    said = Confidence.of(logits, temperature)
    probabilities = softmax(logits / temperature, axis=1)
    assert np.array_equal(said.predictions, logits.argmax(1))
    assert np.allclose(said.probabilities, probabilities.max(1), rtol=1e-12)
    assert np.allclose(said.log_odds, np.log(probabilities.max(1) / (1 - probabilities.max(1))), rtol=1e-9)
    assert np.allclose(said.max_logits, logits.max(1) / temperature)
    assert np.allclose(said.energies, -logsumexp(logits / temperature, axis=1))


def test_log_odds_rank_what_rounds_to_certainty():
    said = Confidence.of(np.array([[0.0, 100.0], [0.0, 200.0]]))
    assert said.probabilities.tolist() == [1, 1]
    assert said.log_odds.tolist() == [100, 200]


@pytest.mark.parametrize(("gap", "right"), [(4.0, 80), (1.0, 80), (4.0, 95)])
def test_the_temperature_makes_the_probability_the_share_that_is_right(gap, right):
    """Two classes and one gap: the best temperature has softmax(gap / T) = share."""
    logits = np.tile([gap, 0.0], (100, 1))
    labels = np.where(np.arange(100) < right, 0, 1)
    expected = gap / np.log(right / (100 - right))
    assert fit_temperature(logits, labels) == pytest.approx(expected, rel=1e-5)


def test_scaling_the_logits_scales_the_temperature(logits):
    labels = np.random.default_rng(1).integers(0, 7, 50)
    labels[:30] = logits[:30].argmax(1)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * fit_temperature(logits, labels), rel=1e-4)


def test_without_pictures_there_is_no_temperature():
    with pytest.raises(ContractError, match="one labelled picture"):
        fit_temperature(np.empty((0, 3)), np.empty(0, np.int64))
