"""What looks wrong with a classifier before a run, and with its accuracy after it: reported, never silent."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advcli.core.report import ModelReport
from advcli.models.classifier import Classifier

_PROBES = 16
_TOLERANCE = 1e-3  # of the largest logit
_FEWEST = 20  # labelled images from which an accuracy says something about chance


def inspect(classifier: Classifier) -> list[str]:
    """Look at a classifier with noise pictures.

    Returns:
        One sentence for each thing that looks wrong: outputs that are probabilities, randomness in the forward pass,
        layers in training mode, gradients that vanish, weights or a normalization that nobody stated.
    """
    name = classifier.card.name
    size = classifier.card.preprocessing.size
    pixels = torch.rand(_PROBES, 3, *size, generator=torch.Generator().manual_seed(0)).to(classifier.device)
    logits = classifier.logits(pixels)
    found = [f"{name}: {note}" for note in classifier.card.notes]
    if _are_probabilities(logits):
        found.append(f"{name} gives probabilities, not logits: attacks and maps are weaker; drop the softmax")
    if (classifier.logits(pixels) - logits).abs().max() > _TOLERANCE * logits.abs().max():
        found.append(f"{name} answers differently from one call to the next: results are not repeatable")
    if any(module.training for module in classifier.network.modules()):
        found.append(f"{name} has layers in training mode: dropout and batch norms then depend on the batch")
    look = classifier.look(pixels)
    silent = ~look.vjp(F.one_hot(look.logits.argmax(1), logits.shape[1]).float()).flatten(1).any(1)
    if silent.any():
        found.append(
            f"{name} has a gradient of zero everywhere for {int(silent.sum())} of {_PROBES} noise pictures: "
            "attacks and maps that need gradients fail"
        )
    return found


def doubts(values: Mapping[str, Any], models: Sequence[ModelReport]) -> list[str]:
    """Say what a reader should doubt.

    That is an accuracy no better than guessing (wrong normalization, twice, or wrong labels), and images that may
    withstand only because an attack is weak.

    Args:
        values: summary of the run; with several models its ``models`` have the accuracies.
        models: of the run.
    """
    found = []
    for model in models:
        per_model = [row for row in values.get("models", ()) if row["model"] == model.name]
        figures = per_model[0] if per_model else values
        high, labelled, classes = figures.get("clean_accuracy_high"), values.get("labelled", 0), len(model.classes)
        if labelled >= _FEWEST and high is not None and high <= 2 / classes:
            found.append(
                f"{model.name}: clean accuracy {figures['clean_accuracy']:.3f} on {labelled} labelled images is near "
                f"chance for {classes} classes; check that --mean and --std are those of the training and not applied "
                "twice, and the order of --classes"
            )
    said = values.get("diagnosis", ())
    return found + [
        f"{row['case']}: {row['images']} of {row['of']} images {row['sign']}; {row['advice']}" for row in said
    ]


def drift(classifier: Classifier, loaded: nn.Module, pixels: Tensor) -> float:
    """Measure how far folding batch norms, and the size of a block, move a logit.

    Args:
        classifier: as it is used.
        loaded: its network as loaded, nothing folded, on the CPU.
        pixels: (N, 3, H, W), real pictures.

    Returns:
        The largest difference of a logit, as a share of the picture's largest logit.
    """
    used = classifier.logits(pixels).double()
    doubled = classifier.logits(torch.cat([pixels, pixels.flip(3)]))[: len(pixels)].double()
    with torch.no_grad():
        plain = loaded.eval().to(classifier.device)(classifier.normalize(pixels)).double()
    scale = used.abs().amax(1, keepdim=True)
    return float(torch.maximum((used - plain).abs(), (used - doubled).abs()).div(scale).max())


def _are_probabilities(logits: Tensor) -> bool:
    return bool(logits.min() >= 0 and (logits.sum(1) - 1).abs().max() < 1e-4)
