"""Comparisons of maps: what is explained before and after an attack, and what is measured between the two."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from advcli.core.choices import After
from advcli.core.randomness import RowNoise
from advcli.core.records import AttackRecord, CompareRecord, RegionRow, SimilarityRow
from advcli.engine._attacking import Attacked
from advcli.engine._clean_maps import CleanMaps
from advcli.engine._explaining import explained_class
from advcli.engine._maps import Explained, explain_images
from advcli.figures.overlays import carried, seen_box
from advcli.metrics.equal_noise import equal_noise
from advcli.metrics.movement import compare_maps
from advcli.metrics.regions import TOP_TENTH, share_of, top_box, top_masks
from advcli.models.classifier import Classifier
from advcli.runs.command import Case
from advcli.runs.images import Clean

_THREADS = 2  # that measure maps beside one another; numpy gives the interpreter free while it sorts
Policy = str  # "same" or "own"


def policies(after: After) -> tuple[Policy, ...]:
    """Give the classes that are explained on an adversarial picture, by name."""
    return ("same", "own") if after == "both" else (after,)


@dataclass(frozen=True)
class Pair:
    """The maps of one explanation before and after, for one class policy.

    Args:
        after: ``same`` or ``own``.
        first: of the clean image.
        second: of the adversarial picture.
        noisy: of the image with noise as large as the attack.
    """

    after: Policy
    first: Explained
    second: Explained
    noisy: Explained


@dataclass(frozen=True)
class Compared:
    """One attacked image with its maps.

    Args:
        attacked: by which attack, and how it went.
        pairs: explanation by explanation, class policy by class policy.
        record: what is known.
    """

    attacked: Attacked
    pairs: tuple[Pair, ...]
    record: CompareRecord


@dataclass(frozen=True)
class _Question:
    """What is to be explained: pixels of an image, and the class for each explanation."""

    clean: Clean
    pixels: torch.Tensor
    targets: tuple[int, ...]

    @cached_property
    def key(self) -> tuple[object, ...]:
        return (self.clean.image.item.identity, self.pixels.cpu().numpy().tobytes(), self.targets)


@dataclass(frozen=True)
class Comparer:
    """Explains images before and after attacks, and measures between the maps.

    Args:
        after: class explained on the adversarial picture.
        layer: to watch, or none for the default.
        seed: of the run.
        batch_size: images that are worked on together.
        clean_maps: of the images that have attacks left.
    """

    after: After
    layer: str | None
    seed: int
    batch_size: int
    clean_maps: CleanMaps
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "measure"), repr=False)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def compare(
        self, classifier: Classifier, attacked: Sequence[Attacked], cases: Sequence[Case]
    ) -> Iterator[Compared]:
        """Explain attacked images of one model before and after.

        Args:
            classifier: the model.
            attacked: images and what the attacks made of them.
            cases: explanations of that model.

        Returns:
            One for each, in order.
        """
        clean = [one.clean for one in attacked]
        before = self.clean_maps.of(clean, lambda some: self.clean(some, cases))
        saved = torch.stack([one.saved.to(classifier.device) for one in attacked])
        images = torch.stack([one.pixels for one in clean])
        noisy = equal_noise(images, saved, RowNoise.of(self.seed, digests_of(clean), "equal-noise"))
        sides: dict[str, tuple[torch.Tensor, list[torch.Tensor | None]]] = {
            "second": (saved, [one.saved_logits for one in attacked]),
            "noisy": (noisy, [None] * len(clean)),
        }
        asked = {
            (side, policy): self._questions(classifier, clean, before, policy, *what)
            for side, what in sides.items()
            for policy in policies(self.after)
        }
        answers = self._answers([one for questions in asked.values() for one in questions], cases)
        found = {name: [answers[one.key] for one in questions] for name, questions in asked.items()}
        rows = [
            tuple(
                Pair(policy, before[row][column], *(found[side, policy][row][column] for side in sides))
                for column in range(len(cases))
                for policy in policies(self.after)
            )
            for row in range(len(attacked))
        ]
        measured = self._pool.map(_record, attacked, rows)
        for one, pairs, record in zip(attacked, rows, measured, strict=True):
            yield Compared(one, pairs, record)

    def clean(self, clean: Sequence[Clean], cases: Sequence[Case], seed: int | None = None) -> list[list[Explained]]:
        """Explain clean images.

        Args:
            clean: the images, all of one model.
            cases: explanations of that model.
            seed: another than the run's, for methods that draw.
        """
        targets = [[explained_class(case.payload[1], one) for one in clean] for case in cases]
        return self.explained(clean, torch.stack([one.pixels for one in clean]), cases, targets, seed)

    def _questions(
        self,
        classifier: Classifier,
        clean: Sequence[Clean],
        before: Sequence[Sequence[Explained]],
        policy: Policy,
        pixels: torch.Tensor,
        logits: Sequence[torch.Tensor | None],
    ) -> list[_Question]:
        same = [tuple(one.target for one in maps) for maps in before]
        if policy == "same":
            return [_Question(*row) for row in zip(clean, pixels, same, strict=True)]
        known = [one for one in logits if one is not None]
        whole = torch.stack(known) if len(known) == len(clean) else classifier.logits(pixels)
        own = [int(place) for place in whole.argmax(1)]
        targets = [(place,) * len(maps) for place, maps in zip(own, before, strict=True)]
        return [_Question(*row) for row in zip(clean, pixels, targets, strict=True)]

    def _answers(
        self, questions: Sequence[_Question], cases: Sequence[Case]
    ) -> dict[tuple[object, ...], list[Explained]]:
        """Explain what is asked, each thing once: attacks that end at one picture share its maps."""
        different = {one.key: one for one in questions}
        asked = list(different.values())
        targets = [[one.targets[column] for one in asked] for column in range(len(cases))]
        pixels = torch.stack([one.pixels for one in asked])
        made = self.explained([one.clean for one in asked], pixels, cases, targets)
        return dict(zip(different, made, strict=True))

    def explained(
        self,
        clean: Sequence[Clean],
        pixels: torch.Tensor,
        cases: Sequence[Case],
        targets: Sequence[Sequence[int]],
        seed: int | None = None,
    ) -> list[list[Explained]]:
        """Explain pixels of images; see ``explain_images``."""
        return explain_images(
            clean,
            pixels,
            cases,
            targets,
            layer=self.layer,
            seed=self.seed if seed is None else seed,
            batch_size=self.batch_size,
        )


def digests_of(clean: Sequence[Clean]) -> list[str]:
    """Give the digests of images, which key their random numbers."""
    return [one.image.sha256 for one in clean]


def plain_record(one: Attacked) -> CompareRecord:
    """Give the record of an attack without maps."""
    return CompareRecord(**{name: getattr(one.record, name) for name in AttackRecord.model_fields})


def _record(one: Attacked, pairs: Sequence[Pair]) -> CompareRecord:
    rows = [row for pair in pairs for row in _similarities(pair)]
    likeness = [row.value for row in rows if row.metric == "spearman" and row.value is not None]
    blank = [pair.first.case.id for pair in pairs if "blank" in (*pair.first.flags, *pair.second.flags)]
    unmoved = torch.equal(one.saved.cpu(), one.clean.pixels.cpu())
    last = pairs[len(pairs) // len({pair.first.case.id for pair in pairs}) - 1]  # of the first explanation
    return plain_record(one).model_copy(
        update={
            "explained_before": one.clean.classes[pairs[0].first.target],
            "explained_after": one.clean.classes[last.second.target],
            "likeness": float(np.mean(likeness)) if likeness else None,
            "similarity": tuple(rows),
            "regions": tuple(_region(one.clean, pair) for pair in pairs),
            "blank": tuple(dict.fromkeys(blank)),
            "flags": (*one.record.flags, *(["unmoved"] if unmoved else [])),
        }
    )


def _similarities(pair: Pair) -> Iterator[SimilarityRow]:
    first = pair.first
    values = compare_maps(first.values, pair.second.values)
    floors = compare_maps(first.values, pair.noisy.values)
    for metric, value in values.items():
        yield SimilarityRow(
            explanation=first.case.id,
            score=first.case.payload[1].score,
            after=pair.after,
            metric=metric,
            value=value,
            floor_noise=floors[metric],
        )


def _region(clean: Clean, pair: Pair) -> RegionRow:
    how = clean.classifier.card.preprocessing
    part = seen_box(*clean.image.size, how.size, how.resize)
    boxes, shares = [], []
    for one in (pair.first, pair.second):
        box = top_box(one.values, TOP_TENTH)
        boxes.append(None if box is None else carried(box, one.values.shape, part, clean.image.size))
        shares.append(share_of(one.values, *top_masks(one.values, (TOP_TENTH,))))
    return RegionRow(
        explanation=pair.first.case.id,
        score=pair.first.case.payload[1].score,
        after=pair.after,
        box_before=boxes[0],
        box_after=boxes[1],
        share_before=shares[0],
        share_after=shares[1],
    )
