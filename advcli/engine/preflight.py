"""What looks wrong with a classifier before a run, and with its accuracy after it: reported, never silent."""

import torch
import torch.nn.functional as F
from torch import Tensor

from advcli.metrics.intervals import clopper_pearson
from advcli.models.classifier import Classifier

_PROBES = 16
_TOLERANCE = 1e-3  # of the largest logit


def inspect(classifier: Classifier) -> list[str]:
    """Look at a classifier with noise pictures.

    Returns:
        One sentence for each thing that looks wrong: outputs that are probabilities, randomness in the forward pass,
        layers in training mode, gradients that vanish.
    """
    size = classifier.card.preprocessing.size
    pixels = torch.rand(_PROBES, 3, *size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
    logits = classifier.logits(pixels)
    found = []
    if _are_probabilities(logits):
        found.append("the outputs look like probabilities, not logits: attacks and maps are weaker; drop the softmax")
    if (classifier.logits(pixels) - logits).abs().max() > _TOLERANCE * logits.abs().max():
        found.append("the outputs differ from one call to the next: results are not repeatable")
    if any(module.training for module in classifier.network.modules()):
        found.append("some layers are in training mode: dropout and batch norms then depend on the batch")
    look = classifier.look(pixels)
    silent = ~look.pull(F.one_hot(look.logits.argmax(1), logits.shape[1]).float()).flatten(1).any(1)
    if silent.any():
        found.append(
            f"the gradient is zero everywhere for {int(silent.sum())} of {_PROBES} probes: gradient attacks fail"
        )
    return found


def chance(right: int, labelled: int, classes: int) -> list[str]:
    """Say so when a labelled run's accuracy is no better than guessing: wrong normalization, twice, or wrong labels."""
    if labelled < 20 or clopper_pearson(right, labelled)[1] > 2 / classes:
        return []
    text = (
        f"clean accuracy {right / labelled:.3f} on {labelled} labelled images is near chance for {classes} classes: "
        "are --mean and --std those of the training, and not applied twice? are --classes in the right order?"
    )
    return [text]


def _are_probabilities(logits: Tensor) -> bool:
    return bool(logits.min() >= 0 and (logits.sum(1) - 1).abs().max() < 1e-4)
