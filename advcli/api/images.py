"""Images and classes as people have them in Python: tensors, arrays, loaders."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from advcli.api.loading import Unsized, load
from advcli.core.grid import LEVELS
from advcli.core.targets import choose_targets
from advcli.errors import UsageError
from advcli.models.classes import resolve_class
from advcli.models.classifier import Classifier
from advcli.models.devices import repeatable
from advcli.search.wanted import Wanted

Images: TypeAlias = Tensor | np.ndarray | Iterable[Any]
Classes: TypeAlias = Tensor | np.ndarray | Sequence[int]


def gathered(images: Images, labels: Classes | None) -> tuple[Tensor, Classes | None]:
    """Give pixels (N, 3, H, W), rounded to eight-bit pictures, and their labels where there are any.

    Raises:
        UsageError: they are not pixels of RGB pictures.
    """
    if isinstance(images, Tensor | np.ndarray):
        return _pixels(images), labels
    parts: list[Tensor] = []
    told: list[int] = []
    for batch in images:
        picture, *rest = batch if isinstance(batch, tuple | list) else (batch,)
        parts.append(_pixels(picture))
        told += [int(label) for label in rest[0]] if rest else []
    if not parts:
        raise UsageError("there are no images", "give pixels (N, 3, H, W), or a loader that is not used up")
    return torch.cat(parts), told if labels is None and told else labels


def _pixels(images: Tensor | np.ndarray) -> Tensor:
    given = torch.as_tensor(np.ascontiguousarray(images) if isinstance(images, np.ndarray) else images).detach().cpu()
    many = given[None] if given.ndim == 3 else given
    if many.ndim == 4 and many.dtype == torch.uint8 and many.shape[1] != 3 and many.shape[3] == 3:
        many = many.permute(0, 3, 1, 2)
    if many.ndim != 4 or many.shape[1] != 3 or not many.numel():
        raise UsageError(f"images {tuple(given.shape)} are not (N, 3, H, W)", "RGB, channels first; uint8 also last")
    if many.dtype != torch.uint8:
        low, high = float(many.min()), float(many.max())
        if not (low >= 0 and high <= 1):
            hint = "undo a normalization, and give its mean and std to advcli.load; eight-bit pixels are uint8"
            raise UsageError(f"images reach from {low:g} to {high:g}, not from 0 to 1", hint)
        many = (many.double() * LEVELS).round()
    return (many.float() / LEVELS).contiguous()


def of_size(classifier: Classifier | Unsized | nn.Module, pixels: Tensor) -> Classifier:
    """Give the classifier of pictures of this size.

    Raises:
        UsageError: it reads another.
    """
    known = load(classifier) if isinstance(classifier, nn.Module) else classifier
    height, width = pixels.shape[2:]
    seen = known.sized(height, width) if isinstance(known, Unsized) else known
    if seen.card.preprocessing.size != (height, width):
        wanted = "{} x {}".format(*seen.card.preprocessing.size)
        raise UsageError(f"images are {height} x {width}, and {seen.card.name} reads {wanted}", "resize them first")
    return seen


def clean_logits(classifier: Classifier, pixels: Tensor) -> Tensor:
    """Logits (N, K) of the images, on the CPU."""
    parts = torch.split(pixels, classifier.batch_size)
    with repeatable():
        return torch.cat([classifier.logits(part.to(classifier.device)).cpu() for part in parts])


def classes_of(given: Classes, what: str, count: int, classifier: Classifier) -> Tensor:
    """Classes (N,) that the classifier has.

    Raises:
        UsageError: there are more or fewer than images, or one that it does not have.
    """
    classes = torch.as_tensor(given).long().cpu()
    if classes.shape != (count,):
        raise UsageError(f"{what} {tuple(classes.shape)} do not fit {count} images", "give one class for each image")
    most = len(classifier.card.classes)
    if count and not 0 <= int(classes.min()) <= int(classes.max()) < most:
        reach = f"{int(classes.min())} to {int(classes.max())}"
        raise UsageError(f"{what} reach from {reach}", f"the model has the classes 0 to {most - 1}")
    return classes


def targets_of(
    classifier: Classifier,
    target: str | int | Classes | None,
    logits: Tensor,
    labels: Tensor,
    seed: int,
    digests: Sequence[str],
) -> Tensor:
    """Class (N,) that each image is to reach, or -1; see ``attack``.

    Raises:
        UsageError: the classifier has no such class.
    """
    if target is None or target == "none":
        return torch.full_like(labels, -1)
    if isinstance(target, str):
        wanted = Wanted.of((target,))
        (word,) = wanted.for_classes(wanted.words[0], classifier.card.classes)
        return choose_targets(wanted.rule(word, "", classifier.card.classes), logits, labels, seed, list(digests))
    if isinstance(target, int):
        return torch.full_like(labels, resolve_class(str(target), classifier.card.classes))
    return classes_of(target, "targets", len(labels), classifier)


def digests_of(pixels: Tensor) -> list[str]:
    """SHA-256 of each image's eight-bit pixels, which with the seed makes its random numbers."""
    levels = (pixels * LEVELS).round().byte()
    return [hashlib.sha256(row.numpy().tobytes()).hexdigest() for row in levels]
