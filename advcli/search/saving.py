"""Verifies what a search found as it will be saved: where a success first happens, and at the end.

A point between the levels of an eight-bit picture can lose its success when it is rounded. Looking at every success as
a picture would double the cost of a search. A row that may leave with its first success is looked at when that
happens; where rounding undid it, at its second, fourth and sixteenth success, until one survives. What is best when a
row ends is looked at then; where rounding undid that, the perturbation at a few other scales. A row that makes all its
steps is looked at only at its end, and its first, second, fourth and sixteenth success only where none of that
survived: so early exit changes no verdict.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from advcli.core.attack import Attack
from advcli.core.goals import Goal
from advcli.core.grid import LEVELS, beyond, to_grid
from advcli.core.precision import array_of
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.models.classifier import Classifier
from advcli.search.changes import changes
from advcli.search.outcome import Outcome, certain
from advcli.search.visiting import CHECKS, COURSE, NEVER, Visits

# Scales of a perturbation that rounding undid: a factor, and how many levels its largest change has to be at least (a
# perturbation of a tenth of a level would be rounded away at any of these factors). A group is looked at where none of
# the group before was a success: in a minimum-norm search rounding undoes two of three, and the first group saves most.
SCALES = (((1.02, 0.0), (1.08, 0.0)), ((1.25, 0.0),), ((1.6, 1.0), (2.5, 2.5)))


class Saving:
    """Verifies the best points of rows of one attack on one classifier.

    Args:
        classifier: its fp32 logits decide.
        attack: whose rows they are.
        visits: what judges its points.
    """

    def __init__(self, classifier: Classifier, attack: Attack, visits: Visits) -> None:
        self.classifier = classifier
        self.attack = attack
        self.visits = visits
        self.exact = classifier.precision == "fp32" and classifier.samples == 1

    def check(self, rows: Rows, kept: Rows) -> None:
        """Verify the successes whose turn it is; ``kept`` learns which survived."""
        due = kept.claimed & kept.fresh & ~kept.survived & (kept.claims >= kept.next_check)
        places = due.nonzero()[:, 0]
        if len(places):
            self._verify(rows, kept, places)
            later = torch.tensor([*CHECKS, NEVER], device=due.device)
            kept.next_check = later[torch.searchsorted(later, kept.claims, right=True)]

    def settle(self, rows: Rows, kept: Rows) -> list[Outcome]:
        """Verify what has not been verified of rows that have ended, and make their outcomes.

        Args:
            rows: N of them.
            kept: of the same rows.
        """
        undone = ~kept.survived & ~kept.fresh  # by an earlier check
        places = kept.fresh.nonzero()[:, 0]
        if len(places):
            undone[places] = ~self._verify(rows, kept, places)
        reached = self._confirm(rows, kept)
        # Another scale is worth a try where there is no picture yet, or where a nearer one is wanted.
        lost = reached & undone & (~kept.survived | self.visits.smallest)
        for scales in SCALES:
            places = lost.nonzero()[:, 0]
            if len(places):
                lost[places] = ~self._rescale(rows, kept, places, scales)
        for turn in range(kept.earlier.shape[1]):
            places = (~kept.survived & (kept.claims > CHECKS[turn])).nonzero()[:, 0]
            if len(places):
                self._look_back(rows, kept, places, turn)
        return self._outcomes(rows, kept, reached)

    def _verify(self, rows: Rows, kept: Rows, places: Tensor) -> Flags:
        """Look at the best float points of some rows as pictures; say which are a success, and keep what is better."""
        some, best = rows[places], kept[places]
        saved = to_grid(best.pixels, some.images, some.eps, self.visits.limit)
        changed = (saved != best.pixels).flatten(1).any(1) | (not self.exact)
        logits = best.logits.clone()
        if changed.any():
            logits[changed] = self.classifier.logits(saved[changed])
        kept.verified[places] += changed
        kept.fresh[places] = False
        good = self._survives(some, best.claimed, saved, logits)
        distance = self.visits.measure.size(saved - some.images)
        wanted = distance <= best.saved_distance if self.visits.smallest else torch.ones_like(good)
        better = ~best.survived | (good & wanted)
        self._put(kept, places[better], saved[better], logits[better], distance[better])
        kept.survived[places] |= good
        return good

    def _survives(self, rows: Rows, claimed: Flags, saved: Tensor, logits: Tensor) -> Flags:
        good = certain(Goal(rows.label, rows.target), logits, self.classifier.certainty)
        if self.visits.limit is not None:
            good = good & (beyond(saved, rows.images, rows.eps, self.visits.limit) <= 0)
        # What the attack let count in float counts as a picture; where nothing counted, the picture has to.
        return good & (claimed | self.visits.successes(rows, saved, logits))

    @staticmethod
    def _put(kept: Rows, places: Tensor, saved: Tensor, logits: Tensor, distance: Tensor) -> None:
        kept.saved[places], kept.saved_logits[places] = saved, logits
        kept.saved_distance[places] = distance.to(kept.saved_distance.dtype)

    def _look_back(self, rows: Rows, kept: Rows, places: Tensor, turn: int) -> None:
        """Look at an earlier success of some rows as a picture."""
        some = rows[places]
        saved = to_grid(kept.earlier[places, turn], some.images, some.eps, self.visits.limit)
        logits = self.classifier.logits(saved)
        kept.verified[places] += 1
        good = self._survives(some, torch.ones_like(some.label, dtype=torch.bool), saved, logits)
        distance = self.visits.measure.size(saved - some.images)
        self._put(kept, places[good], saved[good], logits[good], distance[good])
        kept.survived[places] |= good

    def _confirm(self, rows: Rows, kept: Rows) -> Flags:
        """Say which float points are a success in fp32; where the search was less precise, look at them again.

        A row that keeps its first success, and has a picture, is not looked at again: the picture stands for the point.
        """
        if self.exact:
            return kept.claimed
        reached = torch.zeros_like(kept.claimed)
        places = (~kept.survived | self.visits.smallest).nonzero()[:, 0]
        if len(places):
            kept.logits[places] = self.classifier.logits(kept.pixels[places])
            kept.verified[places] += 1
            reached[places] = self.visits.successes(rows[places], kept.pixels[places], kept.logits[places])
        return reached

    def _rescale(self, rows: Rows, kept: Rows, places: Tensor, scales: Sequence[tuple[float, float]]) -> Flags:
        """Look at perturbations at other scales, as pictures; keep the first or nearest success; say which have one."""
        some, delta = rows[places], kept.pixels[places] - rows.images[places]
        largest = (delta.abs().flatten(1).amax(1) * LEVELS).clamp(min=1e-6)
        factors = [(levels / largest).clamp(min=factor) for factor, levels in scales]
        moved = torch.cat([self._inside(some, some.images + delta * some.column(factor)) for factor in factors])
        wide = some[torch.arange(len(places), device=places.device).repeat(len(scales))]
        saved = to_grid(moved, wide.images, wide.eps, self.visits.limit)
        logits = self.classifier.logits(saved)
        kept.verified[places] += len(scales)
        good = self._survives(wide, torch.ones_like(wide.label, dtype=torch.bool), saved, logits)
        distance = self.visits.measure.size(saved - wide.images)
        order = distance if self.visits.smallest else torch.arange(len(saved), device=saved.device).float()
        ranked = order.where(good, torch.inf).view(len(scales), len(places))
        least, scale = ranked.min(0)
        before = kept[places]
        good = torch.isfinite(least)
        better = good & (~before.survived | (least < before.saved_distance))
        taken = (scale * len(places) + torch.arange(len(places), device=places.device))[better]
        self._put(kept, places[better], saved[taken], logits[taken], distance[taken])
        kept.survived[places] |= better
        return good

    def _inside(self, rows: Rows, pixels: Tensor) -> Tensor:
        if self.visits.limit is not None and self.attack.traits.eps == "bound":
            return self.visits.limit.project(pixels, rows.images, rows.eps)
        return pixels.clamp(0, 1)

    def _outcomes(self, rows: Rows, kept: Rows, reached: Flags) -> list[Outcome]:
        # Where only the picture is a success, it is the float point too.
        instead = kept.survived & ~reached
        column = instead.view(-1, 1, 1, 1)
        pixels = torch.where(column, kept.saved, kept.pixels)
        logits = torch.where(instead[:, None], kept.saved_logits, kept.logits)
        leave = Goal(rows.label, torch.full_like(rows.label, -1))
        distance = self.visits.measure.size(pixels - rows.images)
        numbers = zip(
            leave.reached(logits).tolist(), certain(leave, kept.saved_logits, self.classifier.certainty).tolist(),
            (reached | instead).tolist(), kept.survived.tolist(), distance.tolist(),
            changes(rows.images, pixels, kept.saved),
            rows.forward_passes.tolist(), rows.backward_passes.tolist(), kept.verified.tolist(), rows.age.tolist(),
            (kept.claimed & ~reached & ~instead).tolist(), _course(rows, kept), strict=True,
        )  # fmt: skip
        tensors = zip(*(_each(one) for one in (pixels, kept.saved, logits, kept.saved_logits)), strict=True)
        return [Outcome(*four, *others) for four, others in zip(tensors, numbers, strict=True)]


def _course(rows: Rows, kept: Rows) -> list[tuple[float, float, float]]:
    """Lowest margin, highest before the last steps, highest; of each row."""
    late = (rows.age // 4).clamp(1, COURSE)
    earlier = kept.peaks.gather(1, COURSE - late[:, None])[:, 0]
    return list(zip(kept.lowest.tolist(), earlier.tolist(), kept.peaks[:, -1].tolist(), strict=True))


def _each(tensor: Tensor) -> list[Tensor]:
    """Rows as tensors of their own: a view would hold all of the batch in memory."""
    return [torch.from_numpy(row.copy()) for row in array_of(tensor)]
