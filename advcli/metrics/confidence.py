"""How sure a network is of a picture: softmax, highest logit, energy, and what a temperature makes of the softmax."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from advcli.errors import ContractError

Values = NDArray[np.float64]
_HOTTEST = 100.0  # largest temperature that is looked for, and its inverse the smallest


@dataclass(frozen=True)
class Confidence:
    """How sure a network is of N pictures, all float64 (N,).

    Attributes:
        predictions: int64 (N,), the class with the highest logit, the first of equals.
        probabilities: its softmax probability, in [0, 1].
        log_odds: log(p / (1 - p)) of it, which still ranks pictures whose probability rounds to 1.
        max_logits: its logit.
        energies: minus the log-sum-exp of the logits. Source: Liu et al. 2020, https://arxiv.org/abs/2010.03759,
            equation 4 with temperature 1.
    """

    predictions: NDArray[np.int64]
    probabilities: Values
    log_odds: Values
    max_logits: Values
    energies: Values

    @classmethod
    def of(cls, logits: Values, temperature: float = 1.0) -> "Confidence":
        """Read logits (N, K), K >= 2, divided by a temperature above 0."""
        exact = np.asarray(logits, np.float64) / temperature
        predictions = exact.argmax(1)
        top = np.take_along_axis(exact, predictions[:, None], 1)[:, 0]
        others = exact.copy()
        np.put_along_axis(others, predictions[:, None], -np.inf, 1)
        log_odds: Values = top - logsumexp(others, axis=1)
        return cls(predictions, 1 / (1 + np.exp(-log_odds)), log_odds, top, -logsumexp(exact, axis=1))


def fit_temperature(logits: Values, labels: NDArray[np.int64]) -> float:
    """Find the temperature at which the softmax of labelled pictures is most likely to say their labels.

    One number for all classes: it changes how sure the network is, never what it says.

    Args:
        logits: (N, K), N >= 1, of pictures that the network was not trained on.
        labels: (N,) classes.

    Returns:
        The temperature with the least cross-entropy, between 0.01 and 100: above 1 where the network is too sure.
        The bounds mean that there is no least one, as where every picture is classified rightly.

    Raises:
        ContractError: there is no picture.

    Source: Guo et al. 2017, "On calibration of modern neural networks", https://arxiv.org/abs/1706.04599, section 4.2.
    """
    if not len(labels):
        raise ContractError("a temperature is fitted to one labelled picture at least")
    exact = np.asarray(logits, np.float64)
    own = np.take_along_axis(exact, labels[:, None], 1)[:, 0]

    def cross_entropy(inverse_log: float) -> float:
        scale = np.exp(inverse_log)
        return float((logsumexp(exact * scale, axis=1) - own * scale).mean())

    # Convex in the inverse temperature, so that there is one least value only.
    bound = float(np.log(_HOTTEST))
    found = minimize_scalar(cross_entropy, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))
