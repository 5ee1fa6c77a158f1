"""Judges every point that an attack visits, and keeps the best float point of each row."""

import torch
from torch import Tensor

from advcli.core.attack import Attack, Proposing, measure_of
from advcli.core.goals import Goal
from advcli.core.grid import beyond
from advcli.core.norms import BALLS
from advcli.core.precision import wide
from advcli.core.rows import Rows
from advcli.core.shapes import Flags
from advcli.search.held import limit_of, mask_from

CHECKS = (1, 2, 4, 16)  # successes of a row that are verified as saved until one survives; then only the last one is
NEVER = 1 << 62
COURSE = 10  # last steps in which a search that has come to an end should not have risen much


def blank(rows: Rows, classes: int, limit: Tensor, earlier: int) -> Rows:
    """Make what is kept of new rows: nothing yet.

    The tensors, one entry per row, are of the best float point (``pixels``, ``logits``, ``margin``, ``distance``,
    ``claimed``: a success by the logits of the search, ``fresh``: not verified as saved since it was found), of the
    best picture (``saved``, ``saved_logits``, ``saved_distance``, ``survived``: a success as saved), and of the row:
    ``claims`` (successes so far), ``next_check`` (how many of them have to be there before one is verified),
    ``earlier`` (those of ``CHECKS``, where they are verified only at the end), ``verified`` (verification passes),
    ``limit`` (most steps), ``origin`` (random numbers drawn in start), ``begun`` (the starting point was looked at),
    ``exhausted`` (the passes it may cost are spent), ``lowest`` (margin of all visits) and ``peaks`` (highest margin
    until each of the last ``COURSE`` + 1 visits).

    Args:
        rows: new ones, N of them.
        classes: of the classifier.
        limit: (N,) most steps.
        earlier: number of earlier successes to keep.
    """
    no = torch.zeros_like(rows.label, dtype=torch.bool)
    zero = torch.zeros_like(rows.label)
    logits = rows.images.new_zeros(len(rows), classes)
    far = rows.eps.new_full((len(rows),), torch.inf)
    return Rows(
        pixels=rows.images.clone(), logits=logits, margin=wide(-far), distance=far, claimed=no, fresh=no.clone(),
        saved=rows.images.clone(), saved_logits=logits.clone(), saved_distance=far.clone(), survived=no.clone(),
        claims=zero, next_check=zero + 1, verified=zero.clone(), limit=limit.clone(), origin=rows.drawn.clone(),
        begun=no.clone(), exhausted=no.clone(), lowest=wide(far), peaks=wide(-far)[:, None].repeat(1, COURSE + 1),
        earlier=rows.images[:, None].repeat(1, earlier, 1, 1, 1),
    )  # fmt: skip


class Visits:
    """Judges visited points.

    Args:
        attack: whose rows they are; its traits say what is kept.
    """

    def __init__(self, attack: Attack) -> None:
        self.attack = attack
        self.smallest = attack.traits.keeps == "smallest"
        self.measure = BALLS[measure_of(attack)]
        self.limit = limit_of(attack)
        self._proposes = isinstance(attack, Proposing)
        self._counts = callable(getattr(attack, "counts", None))

    def successes(self, rows: Rows, pixels: Tensor, logits: Tensor) -> Flags:
        """Say which points are a success, by the logits that are given.

        A point is one where the goal is reached, where the point is within eps if eps is a limit, and where the attack
        lets it count.

        Args:
            rows: of the points.
            pixels: (N, 3, H, W).
            logits: (N, K).
        """
        found: Flags = rows.goal.reached(logits)
        if found.any() and (self._counts or self.limit is not None):
            places = found.nonzero()[:, 0]
            found = found.clone()
            found[places] = self._let_count(rows[places], pixels[places], logits[places])
        return found

    def _let_count(self, rows: Rows, pixels: Tensor, logits: Tensor) -> Flags:
        mask = torch.ones_like(rows.label, dtype=torch.bool)
        if self.limit is not None:
            mask = mask & (beyond(pixels, rows.images, rows.eps, self.limit) <= 0)
        return mask & mask_from(self.attack, "counts", rows, logits) if self._counts else mask

    def __call__(self, rows: Rows, kept: Rows, pixels: Tensor, logits: Tensor, seen: Tensor) -> None:
        """Judge points that were visited in one step, Q of each row, and keep the best.

        Args:
            rows: N of them.
            kept: of the same rows; changed.
            pixels: (N, Q, 3, H, W).
            logits: (N, Q, K).
            seen: bool (N, Q); other points were not visited.
        """
        count, points = seen.shape
        each = rows if points == 1 else rows[_repeated(count, points, seen.device)]
        flat_pixels, flat_logits = pixels.flatten(0, 1), logits.flatten(0, 1)
        margin = self._margin(each, flat_pixels, flat_logits).view(count, points)
        if not self._proposes:  # how many proposals are looked at together depends on the batch
            _note_course(kept, margin.where(seen, -torch.inf).amax(1))
        success = self.successes(each, flat_pixels, flat_logits).view(count, points) & seen
        distance = self._distances(each, flat_pixels, success)
        place, better = self._best(kept, success, margin.where(seen, -torch.inf), distance)
        won = success.any(1) & better
        chosen = better.nonzero()[:, 0]
        if len(chosen):
            at = place[chosen]
            for name, values in (("pixels", pixels), ("logits", logits), ("margin", margin), ("distance", distance)):
                getattr(kept, name)[chosen] = values[chosen, at].to(getattr(kept, name).dtype)
            kept.fresh = kept.fresh | better
            kept.claimed = kept.claimed | won
            kept.claims = kept.claims + won
            for turn in range(kept.earlier.shape[1]):
                now = (won & (kept.claims == CHECKS[turn])).nonzero()[:, 0]
                kept.earlier[now, turn] = kept.pixels[now]

    def _margin(self, each: Rows, pixels: Tensor, logits: Tensor) -> Tensor:
        """Margins of points; where rows may roam beyond eps, a point out there stands behind all within."""
        margin = Goal(each.label, each.target).margin(logits)
        if self.limit is None or self.attack.traits.eps == "bound":
            return margin
        outside = beyond(pixels, each.images, each.eps, self.limit) > 0
        return torch.where(outside, torch.finfo(margin.dtype).min, margin)

    def _distances(self, each: Rows, pixels: Tensor, success: Tensor) -> Tensor:
        """Distances (N, Q) of the successes where they matter; infinite elsewhere."""
        distances = torch.full(success.shape, torch.inf, device=success.device, dtype=torch.float32)
        places = success.flatten().nonzero()[:, 0]
        if self.smallest and len(places):
            near = self.measure.size(pixels[places] - each.images[places]).float()
            distances.view(-1)[places] = near
        return distances

    def _best(self, kept: Rows, success: Tensor, margin: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Choose the point (N,) of each row, and say whether it is better than what is kept."""
        none_yet = ~success.any(1)
        if self.smallest:
            nearest, place = distance.min(1)
            better = nearest < kept.distance
        else:
            # The first success until a picture has survived, then the latest one.
            first, last = success.float().argmax(1), success.shape[1] - 1 - success.flip(1).float().argmax(1)
            place = torch.where(kept.survived, last, first)
            better = ~none_yet
        highest, most = margin.max(1)
        place = torch.where(none_yet, most, place)
        return place, torch.where(none_yet, ~kept.claimed & (highest > kept.margin), better)


def _note_course(kept: Rows, margin: Tensor) -> None:
    """Remember how the margin (N,) of the rows went."""
    known = margin > torch.finfo(margin.dtype).min  # not of points beyond eps
    kept.lowest = torch.where(known, torch.minimum(kept.lowest, margin), kept.lowest)
    kept.peaks = torch.cat([kept.peaks[:, 1:], torch.maximum(kept.peaks[:, -1], margin)[:, None]], 1)


def _repeated(rows: int, times: int, device: torch.device) -> Tensor:
    return torch.arange(rows, device=device).repeat_interleave(times)
