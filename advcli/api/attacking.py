"""Attacks on images in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advcli.api.images import Classes, Images, classes_of, clean_logits, digests_of, gathered, of_size, targets_of
from advcli.api.loading import Unsized
from advcli.errors import UsageError
from advcli.models.classifier import Classifier
from advcli.models.devices import repeatable
from advcli.registry import Quantity, parse_methods
from advcli.search.config import AttackConfig, Cell
from advcli.search.flow import Job, flow
from advcli.search.plans import Answer, AttackPlan, Problem, attack_job
from advcli.search.wanted import Wanted


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack came to; tensors on the CPU, one row per image.

    Attributes:
        images: float32 (N, 3, H, W), what was attacked: the given pixels, rounded to multiples of 1/255.
        adversarial: float32 (N, 3, H, W), the float points that the attack found.
        adversarial_as_saved: float32 (N, 3, H, W), the best eight-bit pictures.
        labels: int64 (N,).
        targets: int64 (N,), -1 where there is none.
        predictions: int64 (N,), of the clean images.
        adversarial_predictions: int64 (N,), of ``adversarial_as_saved``.
        misclassified: bool (N,): ``adversarial`` is not classified as the label.
        misclassified_as_saved: bool (N,): nor is ``adversarial_as_saved``, by more than rounding errors.
        target_reached: bool (N,): ``adversarial`` is classified as the target; without a target as ``misclassified``.
        target_reached_as_saved: bool (N,): so is ``adversarial_as_saved``.
        linf: float64 (N,), size of the perturbation of ``adversarial`` in pixel units; likewise l2, l1.
        l2: float64 (N,).
        l1: float64 (N,).
        l0: float64 (N,), number of changed values.
        forward_passes: int64 (N,), of the search.
        backward_passes: int64 (N,).
        verification_passes: int64 (N,), forward passes that checked what the search found.
    """

    images: Tensor
    adversarial: Tensor
    adversarial_as_saved: Tensor
    labels: Tensor
    targets: Tensor
    predictions: Tensor
    adversarial_predictions: Tensor
    misclassified: Tensor
    misclassified_as_saved: Tensor
    target_reached: Tensor
    target_reached_as_saved: Tensor
    linf: Tensor
    l2: Tensor
    l1: Tensor
    l0: Tensor
    forward_passes: Tensor
    backward_passes: Tensor
    verification_passes: Tensor

    @property
    def robust_accuracy(self) -> float:
        """Share of the images that are classified as their label and stay so, as saved."""
        right = (self.predictions == self.labels) & ~self.misclassified_as_saved
        return float(right.double().mean())


def attack(
    classifier: Classifier | Unsized | nn.Module,
    images: Images,
    labels: Classes | None = None,
    method: str = "pgd",
    *,
    eps: float | None = None,
    target: str | int | Classes | None = None,
    seed: int = 0,
    early_exit: bool = True,
    queries: int | None = None,
    batch_size: int | None = None,
) -> AttackResult:
    """Attack images in memory, just as ``advcli attack`` attacks files.

    Random numbers are keyed by the seed and the pixels, where the command line has the bytes of the file.

    Args:
        classifier: from ``load``, or a module that takes pixels in [0, 1].
        images: pixels in [0, 1], (N, 3, H, W) or one (3, H, W); or uint8, also (N, H, W, 3); or a loader that gives
            batches of them, alone or with their labels.
        labels: classes (N,); by default those that a loader gives, else what is predicted.
        method: with its settings, such as ``pgd:steps=20`` or ``apgd-ce:norm=l2``.
        eps: size of the ball in pixel units, by default that of the norm.
        target: what to reach: ``second``, ``least``, ``random``, a class, or one class for each image (N,).
        seed: of all randomness, together with each image's content: neighbours and batches change nothing.
        early_exit: let an image go at its first success.
        queries: forward and backward passes that an image may cost at most.
        batch_size: rows in flight; changes speed and memory, never a result.

    Raises:
        UsageError: images, labels, method or one of the numbers cannot be used.
    """
    pixels, given = gathered(images, labels)
    seen = of_size(classifier, pixels)
    logits = clean_logits(seen, pixels)
    held = classes_of(given, "labels", len(pixels), seen) if given is not None else logits.argmax(1)
    digests = digests_of(pixels)
    cell = _cell(seen, method, eps, target)
    targets = targets_of(seen, target, logits, held, seed, digests)
    made, radii = cell.method.build(), (_radius(cell),)
    plans = [AttackPlan(made, cell.name, int(one), radii, queries=queries) for one in targets]

    def job(place: int) -> Job[tuple[int, Answer]]:
        problem = Problem(seen, pixels[place], logits[place], int(held[place]), digests[place], seed)
        (answer,) = yield from attack_job(problem, plans[place])
        return place, answer

    with repeatable():
        found = dict(flow(map(job, range(len(pixels))), batch_size=batch_size, early_exit=early_exit, queries=queries))
    return _result(pixels, held, targets, logits, [found[place] for place in range(len(pixels))])


def _cell(classifier: Classifier, method: str, eps: float | None, target: str | int | Classes | None) -> Cell:
    radii = () if eps is None else (Quantity(repr(float(eps)), float(eps)),)
    if eps is not None and not eps > 0:
        raise UsageError(f"eps {eps} is not positive", "give the size of the ball in pixel units, such as 8/255")
    word = () if target is None or target == "none" else (target if isinstance(target, str) else "0",)
    config = AttackConfig(tuple(parse_methods("attack", [method], "method")), radii, Wanted.of(word))
    cells, _ = config.cells(classifier.card)
    if len(cells) != 1:
        raise UsageError(f"method {method!r} and target {target!r} are {len(cells)} attacks", "ask for one at a time")
    return cells[0]


def _radius(cell: Cell) -> float:
    return 0.0 if cell.eps is None else cell.eps.value


def _result(pixels: Tensor, labels: Tensor, targets: Tensor, logits: Tensor, answers: Sequence[Answer]) -> AttackResult:
    outcomes = [answer.outcome for answer in answers]
    numbers = {
        name: torch.tensor([one.change[name] for one in outcomes]).double() for name in ("linf", "l2", "l1", "l0")
    }
    told = {
        name: torch.tensor([getattr(one, name) for one in outcomes])
        for name in (
            *("misclassified", "misclassified_as_saved"),
            *("forward_passes", "backward_passes", "verification_passes"),
        )
    }
    return AttackResult(
        images=pixels,
        adversarial=torch.stack([one.pixels for one in outcomes]),
        adversarial_as_saved=torch.stack([one.saved for one in outcomes]),
        labels=labels,
        targets=targets,
        predictions=logits.argmax(1),
        adversarial_predictions=torch.stack([one.saved_logits for one in outcomes]).argmax(1),
        target_reached=torch.tensor([one.reached for one in outcomes]),
        target_reached_as_saved=torch.tensor([one.reached_as_saved for one in outcomes]),
        **numbers,
        **told,
    )
