"""The gradient of a score in the pixels: where a small change would matter most.

Source: Simonyan et al. 2014, https://arxiv.org/abs/1312.6034, section 3.
"""

from advcli.attributions._channels import Reduce, reduce_channels
from advcli.core.scores import Score, score_cotangent
from advcli.core.shapes import Integers, Maps, Pixels
from advcli.models.classifier import Classifier


def gradient(
    classifier: Classifier, pixels: Pixels, target: Integers, *, score: Score = "logit", reduce: Reduce = "sum"
) -> Maps:
    """Differentiate the target's score in every pixel.

    Args:
        classifier: what to explain.
        pixels: (N, 3, H, W) in [0, 1].
        target: (N,) the class to explain for each image.
        score: what is differentiated.
        reduce: how three channels become one map: sum keeps the sign, max takes the largest absolute value (the
            paper's choice), l2 the Euclidean length.

    Returns:
        (N, H, W), score per unit of pixel value.
    """
    look = classifier.look(pixels)
    return reduce_channels(look.pull(score_cotangent(look.logits, target, score)), reduce)
