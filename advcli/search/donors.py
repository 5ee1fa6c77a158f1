"""Pictures of other classes at which an attack can begin: parts of the built-in samples, the same for every run."""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from advcli.core.shapes import Pixels
from advcli.images.crops import sample_crops
from advcli.models.classifier import Classifier

_CLASSES: "WeakKeyDictionary[Classifier, tuple[Pixels, Tensor]]" = WeakKeyDictionary()


def donor_for(classifier: Classifier, label: int, target: int, key: tuple[int, ...]) -> Tensor | None:
    """Choose a picture that is at an attack's goal.

    Args:
        classifier: what is attacked.
        label: class to leave.
        target: class to reach, or -1.
        key: of the attempt; the same key chooses the same picture.

    Returns:
        (3, H, W) in [0, 1], on the CPU and on the grid of eight-bit pictures; none where no picture is at the goal.
    """
    if classifier not in _CLASSES:
        pixels = torch.stack(list(_pictures(classifier)))
        _CLASSES[classifier] = pixels, classifier.logits(pixels.to(classifier.device)).argmax(1).cpu()
    pixels, classes = _CLASSES[classifier]
    fitting = (classes == target if target >= 0 else classes != label).nonzero()[:, 0]
    return pixels[fitting[key[0] % len(fitting)]].clone() if len(fitting) else None


def _pictures(classifier: Classifier) -> Iterator[Tensor]:
    how = classifier.card.preprocessing
    for crop in sample_crops(how.size, how.resize, how.interpolation):
        yield torch.from_numpy(crop).float() / 255
