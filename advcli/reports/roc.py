"""How well a score tells attacked pictures from others: area under the ROC curve, and rates at a threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

Values = NDArray[np.float64]
FALSE_ALARMS = 0.05  # share of clean pictures that a threshold may flag


@dataclass(frozen=True, eq=False)
class Area:
    """An area under the ROC curve.

    Args:
        value: chance that an attacked picture scores higher than a clean one, ties counting half.
        influence: (N,) what each image adds to the estimate's error; their squares sum to its variance.
        count: of the rarer kind of picture.
    """

    value: float
    influence: Values
    count: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Give the interval of the area, within [0, 1].

        Where the two kinds are parted without an error the estimate has no spread; then the interval is that of a
        share without a miss among the pictures of the rarer kind.
        """
        if self.value in (0.0, 1.0):
            reach = ((1 - level) / 2) ** (1 / self.count)
            return (reach, 1.0) if self.value else (0.0, 1 - reach)
        half = float(norm.ppf(0.5 + level / 2) * np.sqrt((self.influence**2).sum()))
        return max(0.0, self.value - half), min(1.0, self.value + half)


def auroc(attacked: Values, clean: Values) -> Area | None:
    """Estimate the area under the ROC curve from scores of the same images, attacked and clean.

    Args:
        attacked: (N,) scores, higher for what looks attacked; NaN where an image was not attacked or has no score.
        clean: (N,) scores of the clean images; NaN where there is none.

    Returns:
        The area; none without both kinds. An attacked picture and its own original count as one cluster, so that the
        interval does not take them for independent.

    Source: DeLong et al. 1988, https://doi.org/10.2307/2531595 (the components); Obuchowski 1997,
    https://doi.org/10.2307/2533958 (clusters).
    """
    with_attack, with_clean = np.isfinite(attacked), np.isfinite(clean)
    positive, negative = attacked[with_attack], clean[with_clean]
    many, few = len(positive), len(negative)
    if not many or not few:
        return None
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:many] - rankdata(positive)) / few  # share of the clean that each attacked picture beats
    below = 1 - (ranks[many:] - rankdata(negative)) / many
    value = float(above.mean())
    influence = np.zeros(len(attacked))
    influence[with_attack] += (above - value) / many
    influence[with_clean] += (below - value) / few
    return Area(value, influence, min(many, few))


def threshold_at(clean: Values, share: float = FALSE_ALARMS) -> float | None:
    """Choose the least threshold above which at most a share of the clean scores lies; none of none."""
    known = np.sort(clean[np.isfinite(clean)])
    if not len(known):
        return None
    return float(known[len(known) - 1 - int(share * len(known))])


def flagged(scores: Values, threshold: float) -> tuple[int, int]:
    """Count the scores above a threshold, and all that are known."""
    known = scores[np.isfinite(scores)]
    return int((known > threshold).sum()), len(known)


def roc(attacked: Values, clean: Values, grid: Values) -> Values:
    """Give the share of attacked pictures that is found at each share of false alarms in ``grid``."""
    positive, negative = attacked[np.isfinite(attacked)], np.sort(clean[np.isfinite(clean)])
    count = len(negative)
    places = np.clip(count - 1 - np.floor(grid * count + 1e-9).astype(int), -1, count - 1)
    cut = np.where(places < 0, -np.inf, negative[places])
    found: Values = (positive[None, :] > cut[:, None]).mean(1)
    return found
