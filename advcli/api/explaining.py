"""Explanations of images in memory."""

import warnings

import numpy as np
from torch import nn

from advcli.api.images import Classes, Images, clean_logits, digests_of, gathered, of_size, targets_of
from advcli.api.loading import Unsized
from advcli.attributions._run import Request, explain_batch
from advcli.core.choices import Score
from advcli.core.scores import Target
from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.devices import repeatable
from advcli.models.layers import pick_layers
from advcli.registry import parse_methods

_SHOWN = ("blank", "not-finite", "underflow")  # flags of a map that make it useless


def explain(
    classifier: Classifier | Unsized | nn.Module,
    images: Images,
    method: str = "grad-cam",
    *,
    target: str | int | Classes | None = None,
    score: Score = "logit",
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> np.ndarray:
    """Explain what a classifier sees in images in memory, just as ``advcli explain`` explains files.

    Args:
        classifier: from ``load``, or a module that takes pixels in [0, 1].
        images: as for ``attack``.
        method: with its settings, such as ``grad-cam`` or ``integrated-gradients:steps=100``.
        target: class to explain, or one for each image (N,); by default what is predicted.
        score: number of that class that is explained: ``logit``, ``prob``, ``logprob`` or ``loss``.
        layer: names of the layers to watch, for methods that do; by default the deepest that is still a map.
        seed: of all randomness, together with each image's content.
        batch_size: images worked on together; changes speed and memory, never a result.

    Returns:
        float32 (N, H, W), signed, not scaled. Maps that say nothing are named in a warning.

    Raises:
        UsageError: images, method or class cannot be used, or the method cannot work on this network.
    """
    pixels, _ = gathered(images, None)
    seen = of_size(classifier, pixels)
    (one,) = parse_methods("attribution", [method], "method")
    refused = one.refusal(seen)
    if refused:
        raise UsageError(f"{one.name} cannot explain this network: {refused}", "choose another method")
    logits = clean_logits(seen, pixels)
    classes, digests = logits.argmax(1), digests_of(pixels)
    if target is not None:
        classes = targets_of(seen, target, logits, classes, seed, digests)
    layers = pick_layers(seen, layer) if one.asks_for("layer") else ()
    request = Request(one, Target(classes.to(seen.device), score), layers)
    with repeatable():
        (made,) = explain_batch(
            seen, pixels.to(seen.device), [request], seed=seed, digests=digests, batch_size=batch_size
        )
    for flag in _SHOWN:
        places = [place for place, flags in enumerate(made.flags) if flag in flags]
        if places:
            warnings.warn(f"{one.name}: the maps of images {places} are {flag}", stacklevel=2)
    return made.maps
