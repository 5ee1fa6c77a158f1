"""The judge: looks at the points that an attack visits, as a PNG would hold them, and keeps the best of each row."""

import torch
from torch import Tensor

from advcli.core.attack import Traits
from advcli.core.grid import to_grid
from advcli.core.norms import BALLS, Ball
from advcli.core.rows import Rows
from advcli.core.shapes import Flags, Floats, Integers, Logits
from advcli.engine.outcome import AS_SAVED, IN_FLOAT, NOTHING, Outcome, certain
from advcli.models.classifier import Classifier


class Judge:
    """Looks at every point the attack visits and keeps the best of each row."""

    def __init__(self, classifier: Classifier, what: Traits, best: Outcome, *, early_exit: bool) -> None:
        self.classifier = classifier
        self.traits = what
        self.early_exit = early_exit and what.keeps == "first"
        self.ball = ball_of(what)
        self.measure = BALLS[what.norm or "l2"]
        self.best = best

    def __call__(self, rows: Rows, logits: Logits, ended: Flags) -> Flags:
        """Judge the rows' current pixels by their logits and say which rows are done."""
        if self.traits.finished is not None:
            ended = ended | self.traits.finished(rows)
        worth = rows.goal.reached(logits)
        if self.traits.keeps == "smallest":
            nearer = self.measure.size(rows.adversarial - rows.images) < self.best.distance[rows.index]
            worth = worth & (nearer | (self.best.rank[rows.index] < AS_SAVED))
        worth = worth | (ended & (self.best.rank[rows.index] <= NOTHING))
        if worth.any():
            self._weigh(rows, worth, logits)
        rank = self.best.rank[rows.index]
        done = ended | (rank == AS_SAVED) if self.early_exit else ended
        self.best.passes[rows.index], self.best.pulls[rows.index] = rows.passes, rows.pulls
        return done

    def _weigh(self, rows: Rows, worth: Tensor, logits: Logits) -> None:
        """Look at some rows' pixels as a PNG would hold them, and keep what is better than what there was."""
        found = rows[worth]
        saved = to_grid(found.adversarial, found.images, found.eps, self.ball)
        saved_logits = self.classifier.logits(saved)
        rows.passes = rows.passes + worth
        if self.classifier.precision == "fp32":
            exact = logits[worth]
        else:
            exact = self.classifier.logits(found.adversarial)
            rows.passes = rows.passes + worth
        rank = found.goal.reached(exact).long() * IN_FLOAT
        rank = torch.where(certain(found.goal, saved_logits), AS_SAVED, rank)
        distance = self.measure.size(saved - found.images)
        better = self._better(rank, distance, found.index)
        place = found.index[better]
        for name, value in (
            ("pixels", found.adversarial), ("saved", saved), ("logits", exact), ("saved_logits", saved_logits),
            ("rank", rank), ("distance", distance),
        ):  # fmt: skip
            getattr(self.best, name)[place] = value[better]

    def _better(self, rank: Integers, distance: Floats, index: Integers) -> Flags:
        before = self.best.rank[index]
        if self.traits.keeps == "smallest":
            among_equals = distance < self.best.distance[index]
        else:  # the latest, unless the first was good enough
            among_equals = torch.full_like(before, not self.early_exit, dtype=torch.bool)
        return (rank > before) | ((rank == before) & (among_equals | (rank == NOTHING)))


def ball_of(what: Traits) -> Ball | None:
    """The ball that confines an attack's rows, if any."""
    return BALLS[what.norm] if what.norm is not None and what.scale == "ball" else None
