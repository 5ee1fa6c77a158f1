"""Explanations on the grid of a run: which cases there are, and whose score each explains."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from advcli.attributions._run import traits_of
from advcli.core.choices import Scale, Score
from advcli.errors import UsageError
from advcli.images.boxes import Boxes
from advcli.models.classes import resolve_class
from advcli.models.classifier import Classifier
from advcli.registry import Method
from advcli.runs.command import Case
from advcli.runs.grid import case_id, numbered
from advcli.runs.images import Clean

CLASS_RULES = ("predicted", "label", "second")
AXES = ("model", "method", "settings", "score", "class_rule")
_DIFFERENCE = ":difference"


@dataclass(frozen=True)
class ExplainCell:
    """One cell of the grid of explanations, on one model.

    Args:
        method: the attribution.
        score: what is differentiated.
        explained: what ``--class`` said.
    """

    method: Method
    score: Score
    explained: str

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        return {
            "method": self.method.name,
            "settings": dict(self.method.settings),
            "score": self.score,
            "class_rule": self.explained,
        }

    @property
    def parts(self) -> tuple["ExplainCell", ...]:
        """The cells whose maps make this one's: itself."""
        return (self,)

    @property
    def words(self) -> tuple[str | None, ...]:
        """Values that the id of the case is made of."""
        explained = None if self.explained == "predicted" else self.explained
        return (self.method.id, explained, None if self.score == "logit" else self.score)


@dataclass(frozen=True)
class EnsembleCell:
    """A cell whose map is the mean of other cells' maps, each divided by its largest absolute value.

    Args:
        parts: cells of one score and one class.
    """

    parts: tuple[ExplainCell, ...]

    @property
    def score(self) -> Score:
        """What is differentiated."""
        return self.parts[0].score

    @property
    def explained(self) -> str:
        """What ``--class`` said."""
        return self.parts[0].explained

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        members = "+".join(part.method.id for part in self.parts)
        return {**self.parts[0].axes, "method": "ensemble-mean", "settings": {"of": members}}

    @property
    def words(self) -> tuple[str | None, ...]:
        """Values that the id of the case is made of."""
        _, *others = self.parts[0].words
        return ("ensemble-mean", "+".join(part.method.id for part in self.parts), *others)


Cell = ExplainCell | EnsembleCell


@dataclass(frozen=True)
class ExplainConfig:
    """What is explained, and how.

    Args:
        methods: attributions with their settings.
        scores: what is differentiated, see ``core/scores.py``.
        classes: whose score: the ``predicted`` class, the ``label``, the ``second`` most probable, or a class by name
            or index; or two of these as ``A,B:difference``: the score of A minus that of B, why the one and not the
            other.
        layer: to watch, for methods that watch one; by default the deepest that is still a map. The maps of several
            are averaged; see ``models.layers.pick_layers``.
        arrays: keep the signed float32 maps too, as ``.npy``.
        ensemble: average the maps of all methods but the controls too, each divided by its largest absolute value.
        top: share of the map to outline, in (0, 1), or none.
        scale: color each map on its own scale, or all maps of a case on one; then nothing is drawn before all are made.
        grade: measure how good the maps are.
        boxes: where the objects are, for the grades.

    Raises:
        UsageError: a layer that no method would watch, an ensemble of one, a share that is none, or boxes without use.
    """

    methods: tuple[Method, ...]
    scores: tuple[Score, ...] = ("logit",)
    classes: tuple[str, ...] = ("predicted",)
    layer: str | None = None
    arrays: bool = False
    ensemble: bool = False
    top: float | None = None
    scale: Scale = "image"
    grade: bool = False
    boxes: Boxes | None = None

    def __post_init__(self) -> None:
        """Refuse options that would do nothing."""
        if self.boxes is not None and not self.grade:
            raise UsageError("--boxes is of no use without --grade", "give --grade too")
        if self.top is not None and not 0 < self.top < 1:
            raise UsageError(f"--top {self.top:g} is no share between 0 and 1", "write --top 0.1")
        if self.ensemble and len(self.methods) < 2:
            raise UsageError("--ensemble mean averages the maps of several methods", "give --method more than once")
        if self.layer is not None and not any(method.asks_for("layer") for method in self.methods):
            used = ", ".join(method.name for method in self.methods)
            raise UsageError(f"--layer {self.layer} is of no use to {used}", "leave it out, or use grad-cam")

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        boxes = None if self.boxes is None else self.boxes.digest
        drawn = {"arrays": self.arrays, "top": self.top, "scale": self.scale}
        return {"layer": self.layer, **drawn, "grade": self.grade, "boxes": boxes}

    def cells(self, classes: Sequence[str]) -> tuple[list[ExplainCell], list[str]]:
        """List the cells of the grid for a model, and a sentence for each combination that makes no sense.

        Args:
            classes: names of the model's classes.

        Raises:
            UsageError: the model has no such class.
        """
        cells, skipped = [], []
        for explained in self.classes:
            for part in class_parts(explained):
                if part not in CLASS_RULES:
                    resolve_class(part, classes)
        for method in self.methods:
            scores, rules = self.scores, self.classes
            if traits_of(method).class_free and len(scores) * len(rules) > 1:
                skipped.append(f"{method.name} depends on no class and no score, and runs once")
                scores, rules = scores[:1], rules[:1]
            cells += [ExplainCell(method, score, explained) for score in scores for explained in rules]
        return cells, skipped


def explain_cases(config: ExplainConfig, classifiers: Sequence[Classifier], first: str) -> tuple[list[Case], list[str]]:
    """Lay out the grid: models, methods, scores and classes.

    Args:
        config: what is explained.
        classifiers: of this call.
        first: name of the run's first model, which ids leave out.

    Returns:
        The cases, and a sentence for each combination that makes no sense, or that the method refuses.

    Raises:
        UsageError: nothing is left, or a model has no such class.
    """
    cases: list[Case] = []
    sentences: dict[str, None] = {}
    for place, classifier in enumerate(classifiers):
        card = classifier.card
        cells, skipped = config.cells(card.classes)
        refused = {}
        for method in config.methods:
            reason = method.refusal(classifier)
            if reason is not None:
                refused[method.id] = f"{method.name}: {reason}"
        sentences.update(dict.fromkeys([*skipped, *refused.values()]))
        kept: list[Cell] = [cell for cell in cells if cell.method.id not in refused]
        if config.ensemble:
            methods = [one for one in config.methods if one.id not in refused and not _asks_nothing(one)]
            kept += _ensembles(config, methods)
            if len(methods) < 2:
                sentences[f"an ensemble needs two methods that suit {card.name}"] = None
        for order, cell in enumerate(kept):
            name = case_id([*cell.words, None if card.name == first else card.name])
            cases.append(Case(name, {"model": card.name, **cell.axes}, (place, order), (place, cell)))
    if not cases:
        reasons = list(sentences)
        raise UsageError(reasons[0], "use another method; see --list")
    return numbered(cases), list(sentences)


def without_models(cases: Sequence[Case]) -> list[Case]:
    """Give the same cases with ids that leave their model out, where what they belong to names it already."""
    found: list[Case] = []
    for place in dict.fromkeys(case.payload[0] for case in cases):
        mine = [case for case in cases if case.payload[0] == place]
        found += numbered([replace(case, id=case_id(case.payload[1].words)) for case in mine])
    return found


def _asks_nothing(method: Method) -> bool:
    """Say whether a method is a control, which does not look at the network."""
    traits = traits_of(method)
    return traits.class_free and traits.watches is None


def _ensembles(config: ExplainConfig, methods: Sequence[Method]) -> list[EnsembleCell]:
    """List an ensemble of the methods for each score and class; none of less than two."""
    if len(methods) < 2:
        return []
    return [
        EnsembleCell(tuple(ExplainCell(method, score, explained) for method in methods))
        for score in config.scores
        for explained in config.classes
    ]


def class_parts(explained: str) -> tuple[str, ...]:
    """Read what ``--class`` said: one class, or the two of ``A,B:difference``.

    Raises:
        UsageError: a difference is not of two classes.
    """
    if not explained.endswith(_DIFFERENCE):
        return (explained,)
    first, *others = (part.strip() for part in explained.removesuffix(_DIFFERENCE).split(","))
    if len(others) != 1 or not first or not others[0] or first == others[0]:
        raise UsageError(
            f"--class {explained!r} is not the difference of two classes", "write --class cat,dog:difference"
        )
    return first, others[0]


def explained_class(cell: Cell, clean: Clean) -> int:
    """Fix the class to explain for one image, from the clean picture; of a difference, the first."""
    return _class_of(class_parts(cell.explained)[0], clean)


def other_class(cell: Cell, clean: Clean) -> int | None:
    """Fix the class whose score a difference takes away, from the clean picture; none where it is no difference."""
    _, *others = class_parts(cell.explained)
    return _class_of(others[0], clean) if others else None


def _class_of(word: str, clean: Clean) -> int:
    if word == "predicted":
        return clean.prediction
    if word == "label":
        return clean.label
    if word == "second":
        return int(torch.argsort(clean.logits, descending=True, stable=True)[1])
    return resolve_class(word, clean.classes)
