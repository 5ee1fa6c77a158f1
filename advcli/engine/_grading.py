"""How good explanations are: every measure for every map of a group of images, with what measures share made once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from advcli import masks
from advcli.core.choices import Fill
from advcli.core.shapes import Pixels
from advcli.engine._explaining import ExplainCell
from advcli.engine._maps import Explained, explain_images, target_of
from advcli.errors import ModelError
from advcli.figures.overlays import seen_box
from advcli.images.boxes import Boxes
from advcli.metrics.faithfulness import areas, counts_of, curves
from advcli.metrics.infidelity import falls, infidelity, squares
from advcli.metrics.pointing import box_mask, pointing
from advcli.metrics.randomization import cascade
from advcli.metrics.sensitivity import max_sensitivity
from advcli.metrics.similarity import similarity
from advcli.models.classifier import Classifier
from advcli.registry import Method
from advcli.runs.command import Case
from advcli.runs.images import Clean

STEPS = 20  # of the curves of deletion and insertion
CONTROLS = ("edge", "random")
_ALIKE = ("spearman_abs", "ssim_abs", "hog")  # of the metrics of similarity: those that are blind to the sign
Map = np.ndarray


@dataclass
class Grades:
    """What is known about one map.

    Args:
        figures: by name; none where one is undefined.
        curves: by name, values at near-equal steps.
    """

    figures: dict[str, float | None] = field(default_factory=dict)
    curves: dict[str, tuple[float | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Grader:
    """Grades the maps of a run.

    Args:
        seed: of the run.
        batch_size: images that are worked on together.
        layer: names of the layers to watch, or none for the default.
        boxes: where the objects are, or none.
    """

    seed: int
    batch_size: int
    layer: str | None
    boxes: Boxes | None

    def grade(self, cases: Sequence[Case], found: Sequence[Sequence[Explained]]) -> list[list[Grades]]:
        """Grade the maps of some images of one model.

        Args:
            cases: that were explained.
            found: for each image one result per case.

        Returns:
            For each image the grades of each case. They do not depend on the other images.
        """
        graded = Graded(self, [mine[0].clean for mine in found])
        columns = [Column(case, [mine[place] for mine in found]) for place, case in enumerate(cases)]
        for column in columns:
            graded.faithfulness(column)
            graded.infidelity(column)
            graded.sensitivity(column)
            graded.pointing(column)
            graded.controls(column)
        graded.sanity(columns)
        return [list(row) for row in zip(*(column.grades for column in columns), strict=True)]

    def maps(
        self,
        clean: Sequence[Clean],
        pixels: Pixels,
        cases: Sequence[Case],
        targets: Sequence[Sequence[int]],
        classifier: Classifier | None = None,
    ) -> list[list[Map]]:
        """Explain other pixels of some images, or the same by another network: for each case, one map per image."""
        found = explain_images(
            clean,
            pixels,
            cases,
            targets,
            layer=self.layer,
            seed=self.seed,
            batch_size=self.batch_size,
            classifier=classifier,
        )
        return [[mine[place].values for mine in found] for place in range(len(cases))]


@dataclass(frozen=True)
class Column:
    """One case with its maps of some images.

    Args:
        case: which.
        explained: its results.
    """

    case: Case
    explained: Sequence[Explained]

    @cached_property
    def grades(self) -> list[Grades]:
        """Of each map, to be filled in."""
        return [Grades() for _ in self.explained]

    @property
    def classes(self) -> list[int]:
        """That were explained."""
        return [one.target for one in self.explained]

    @property
    def maps(self) -> list[Map]:
        """Signed maps (H, W)."""
        return [one.values for one in self.explained]

    def __iter__(self) -> Iterator[tuple[Explained, Grades]]:
        """Give each result with its grades."""
        return iter(zip(self.explained, self.grades, strict=True))


@dataclass(frozen=True, eq=False)
class Graded:
    """Some images of one model, with what the grades of all cases have in common.

    Args:
        grader: of the run.
        clean: the images.
    """

    grader: Grader
    clean: Sequence[Clean]
    _chance: dict[tuple[int, ...], dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def classifier(self) -> Classifier:
        """The model."""
        return self.clean[0].classifier

    @cached_property
    def digests(self) -> list[str]:
        """SHA-256 of each image's bytes."""
        return [one.image.sha256 for one in self.clean]

    @cached_property
    def pixels(self) -> Pixels:
        """The images, (N, 3, H, W)."""
        return torch.stack([one.pixels for one in self.clean])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.classifier.card.preprocessing.size

    def faithfulness(self, column: Column) -> None:
        """Add deletion, toward the mean color, and insertion, into the blurred image, with the random order's."""
        classes = tuple(column.classes)
        if classes not in self._chance:
            self._chance[classes] = self._curves([None] * len(self.clean), classes)
        for name, values in self._curves(column.maps, classes).items():
            chance = self._chance[classes][name]
            found = zip(
                column.grades, values, areas(values, self._counts), chance, areas(chance, self._counts), strict=True
            )
            for grade, curve, area, chance_curve, chance_area in found:
                whole = float(curve[0 if name == "deletion" else -1])
                relative = float(area) / whole if whole else None
                grade.figures |= {name: float(area), f"{name}_random": float(chance_area), f"{name}_relative": relative}
                grade.curves |= {name: tuple(curve.tolist()), f"{name}_random": tuple(chance_curve.tolist())}
        for grade in column.grades:
            deletion, insertion = grade.figures["deletion"] or 0.0, grade.figures["insertion"] or 0.0
            grade.figures = {"overall": insertion - deletion, **grade.figures}

    def infidelity(self, column: Column) -> None:
        """Add the normalized infidelity, and how far the map's sum is from the fall of the score to black."""
        target = target_of(column.case, column.classes, self.clean)
        fell = falls(self.classifier, self.pixels, self._filled("mean"), target, self._squares)
        dark = torch.zeros_like(self.pixels)
        whole, black = (
            target.value(self.classifier.look(pixels, gradient=False).logits).tolist() for pixels in (self.pixels, dark)
        )
        for place, (one, grade) in enumerate(column):
            grade.figures["infidelity"] = infidelity(one.values, self._squares[place], fell[place])
            gap = one.notes.get("completeness_gap")  # of a method with a baseline of its own
            rise = whole[place] - black[place]
            if gap is None and rise:
                gap = abs(float(one.values.astype(np.float64).sum()) - rise) / abs(rise)
            grade.figures["completeness_gap"] = gap

    def sensitivity(self, column: Column) -> None:
        """Add the max-sensitivity."""
        found = max_sensitivity(
            lambda moved: np.stack(self.grader.maps(self.clean, moved, [column.case], [column.classes])[0]),
            self.pixels,
            np.stack(column.maps),
            self.grader.seed,
            self.digests,
        )
        for grade, value in zip(column.grades, found.tolist(), strict=True):
            grade.figures["max_sensitivity"] = None if np.isnan(value) else value

    def pointing(self, column: Column) -> None:
        """Add whether each map points at the object, where boxes were given."""
        if self.grader.boxes is None:
            return
        for one, grade in column:
            seen = seen_box(*one.clean.image.size, self.size, self.classifier.card.preprocessing.resize)
            boxes = self.grader.boxes.of(one.clean.image.item.identity)
            grade.figures |= pointing(one.values, box_mask(boxes, seen, self.size))

    def controls(self, column: Column) -> None:
        """Add how alike each map is to maps that ask no network."""
        for name, maps in self._controls.items():
            for (one, grade), control in zip(column, maps, strict=True):
                alike = similarity(one.values, control)
                grade.figures |= {f"{name}_{metric}": alike[metric] for metric in _ALIKE}

    def sanity(self, columns: Sequence[Column]) -> None:
        """Add how alike each map stays when the network's layers are drawn anew, from the top."""
        cases, targets = [column.case for column in columns], [column.classes for column in columns]
        steps: list[list[list[dict[str, float | None]]]] = [[[] for _ in self.clean] for _ in columns]
        for step in cascade(self.classifier, self.grader.seed):
            try:
                found = self.grader.maps(self.clean, self.pixels, cases, targets, step.classifier)
            except ModelError:  # the random network's logits are not finite
                continue
            for column, maps, seen in zip(columns, found, steps, strict=True):
                for before, after, told in zip(column.maps, maps, seen, strict=True):
                    told.append(similarity(before, after))
        for column, seen in zip(columns, steps, strict=True):
            for grade, told in zip(column.grades, seen, strict=True):
                for metric in told[-1] if told else ():
                    values = tuple(one[metric] for one in told)
                    grade.curves[f"sanity_{metric}"] = (None if values[-1] is None else 1.0, *values)
                    grade.figures |= {f"sanity_{metric}": values[-1]} if metric in _ALIKE else {}

    def _curves(self, maps: Sequence[Map | None], classes: Sequence[int]) -> dict[str, np.ndarray]:
        ranks = np.stack([masks.ranking(one, ties) for one, ties in zip(maps, self._ties, strict=True)])
        target = torch.tensor(classes, device=self.pixels.device)
        ways = {"deletion": (self.pixels, self._filled("mean")), "insertion": (self._filled("blur"), self.pixels)}
        return {name: curves(self.classifier, *way, ranks, self._counts, target) for name, way in ways.items()}

    @cached_property
    def _counts(self) -> np.ndarray:
        return counts_of(self.size[0] * self.size[1], STEPS)

    @cached_property
    def _ties(self) -> list[np.ndarray]:
        return [masks.ties(self.grader.seed, digest, self.size) for digest in self.digests]

    @cached_property
    def _squares(self) -> np.ndarray:
        return squares(self.grader.seed, self.digests, self.size)

    def _filled(self, fill: Fill) -> Pixels:
        seed = self.grader.seed
        return torch.stack([masks.filling(fill, one.pixels, seed, one.image.sha256) for one in self.clean])

    @cached_property
    def _controls(self) -> dict[str, list[Map]]:
        cases = [
            Case(name, {}, (), (ExplainCell(Method("attribution", name, {}), "logit", "predicted"),))
            for name in CONTROLS
        ]
        targets = [[one.prediction for one in self.clean]] * len(cases)
        return dict(zip(CONTROLS, self.grader.maps(self.clean, self.pixels, cases, targets), strict=True))
