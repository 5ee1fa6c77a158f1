"""The measures of how alike two maps of one image are: what each is called, and what it gives for equal maps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure.

    Args:
        title: for people.
        same: its value for equal maps: 1 of a similarity, 0 of a distance.
        low: the least that it can be.
        high: the greatest.
    """

    title: str
    same: float = 1.0
    low: float = 0.0
    high: float = 1.0


MEASURES = {
    "spearman": Measure("Spearman", low=-1.0),
    "spearman_abs": Measure("Spearman of |v|", low=-1.0),
    "ssim": Measure("SSIM", low=-1.0),
    "ssim_abs": Measure("SSIM of |v|", low=-1.0),
    "hog": Measure("HOG of |v|", low=-1.0),
    "top_k": Measure("top 2 % shared"),
    "top_tenth_iou": Measure("IoU of the top tenth"),
    "center_shift": Measure("shift of the center", same=0.0),
    "earth_mover": Measure("earth mover's distance", same=0.0),
}
HEADLINE = ("spearman", "ssim", "hog")
"""The three of Adebayo et al. 2018, https://arxiv.org/abs/1810.03292, which charts show."""


def bounds(name: str) -> tuple[float, float]:
    """Give the least and the greatest value of a measure; no bounds of one that is not known."""
    measure = MEASURES.get(name)
    return (-float("inf"), float("inf")) if measure is None else (measure.low, measure.high)
