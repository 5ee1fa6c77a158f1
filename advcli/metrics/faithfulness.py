"""Deletion and insertion: how fast a class loses its probability as the most important pixels go, or gains it.

Source: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421, section 4.1.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from torch import Tensor

from advcli.core.precision import wide
from advcli.core.scores import score_value
from advcli.models.classifier import Classifier

Ranks = NDArray[np.intp]
Curves = NDArray[np.float64]


def counts_of(pixels: int, steps: int) -> NDArray[np.intp]:
    """Say after how many pixels a curve is looked at: at near-equal steps, from none to all of them.

    Args:
        pixels: of a picture.
        steps: of the curve, at most; a small picture has fewer.

    Returns:
        Ascending, each once.
    """
    return np.unique(np.rint(np.linspace(0, pixels, steps + 1)).astype(np.intp))


def curves(
    classifier: Classifier, below: Tensor, above: Tensor, ranks: Ranks, counts: NDArray[np.intp], classes: Tensor
) -> Curves:
    """Follow the probability of a class while one picture takes the place of another, pixel by pixel.

    Args:
        classifier: what looks.
        below: (N, 3, H, W) in [0, 1], the pictures at the beginning; for deletion the images, for insertion pictures
            without evidence.
        above: (N, 3, H, W) in [0, 1], the pictures at the end.
        ranks: (N, H, W), the place of each pixel in the order in which they are replaced, all channels together.
        counts: of pixels that are replaced, one for each point of the curve.
        classes: (N,) whose softmax probability is followed.

    Returns:
        (N, points), float64. The same for an image whatever the others are.
    """
    order, sizes = (torch.from_numpy(values).to(below.device) for values in (ranks, counts))
    found = wide(torch.zeros(len(below), len(counts), device=below.device))

    def version(rows: Tensor, indices: Tensor) -> Tensor:
        replaced = order[rows] < sizes[indices].view(-1, 1, 1)
        return torch.where(replaced[:, None], above[rows], below[rows])

    for part in classifier.sweep(below, len(counts), version, graph=False):
        found[part.rows, part.indices] = score_value(part.logits, classes[part.rows], "prob")
    return found.cpu().numpy()


def areas(curves: Curves, counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Integrate curves by the trapezoid rule over the true shares of the pixels.

    Args:
        curves: (N, points).
        counts: of pixels at each point, from none to all.

    Returns:
        (N,): means of the curves, in [0, 1].
    """
    return np.asarray(trapezoid(curves, counts / counts[-1], axis=1), dtype=np.float64)
