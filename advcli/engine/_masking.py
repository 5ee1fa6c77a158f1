"""Masks on the grid of a run: which cases there are, and the pictures that one image becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from advcli import masks
from advcli.core.choices import Fill, Order
from advcli.core.shapes import Pixels
from advcli.engine._explaining import ExplainConfig
from advcli.engine._maps import Explained
from advcli.errors import UsageError
from advcli.runs.command import Case
from advcli.runs.images import Clean

AXES = ("model", "method", "settings", "order", "fill", "keep", "remove")
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75)
Key = tuple[str | None, str, float | None, float | None]


@dataclass(frozen=True)
class MaskConfig:
    """How pixels are ranked, and what becomes of them.

    Args:
        explain: the explanations whose maps rank the pixels; one score and one class.
        orders: ``map``, the most important first, and ``random``, the control.
        fills: what stands in the place of pixels that are not kept.
        keep: shares of the pixels that are kept, the first in the order.
        remove: shares of the pixels that are replaced, the first in the order.
        absolute: rank by the size of the evidence, that for and that against alike.

    Raises:
        UsageError: a share is not in (0, 1), or there is none.
    """

    explain: ExplainConfig
    orders: tuple[Order, ...] = ("map", "random")
    fills: tuple[Fill, ...] = ("zero",)
    keep: tuple[float, ...] = SHARES
    remove: tuple[float, ...] = ()
    absolute: bool = False

    def __post_init__(self) -> None:
        """Refuse shares that keep all or nothing."""
        for option, shares in (("--keep", self.keep), ("--remove", self.remove)):
            for share in shares:
                if not 0 < share < 1:
                    meant = f"{share / 100:g}" if 1 < share < 100 else "0.5"
                    raise UsageError(f"{option} {share:g} is no share between 0 and 1", f"write {option} {meant}")
        if not self.keep and not self.remove:
            raise UsageError("no share of the pixels is asked for", "give --keep or --remove")

    @property
    def settings(self) -> dict[str, object]:
        """What of this decides results and is the same for all cases, for the report."""
        said = {"score": self.explain.scores[0], "class": self.explain.classes[0], "layer": self.explain.layer}
        return {**said, "absolute": self.absolute}

    def cells(self, explanation: Case) -> "list[MaskCell]":
        """List the cells of the grid for one explanation."""
        forms = [(share, None) for share in self.keep] + [(None, share) for share in self.remove]
        return [
            MaskCell(explanation, order, fill, keep, remove)
            for order in self.orders
            for fill in self.fills
            for keep, remove in forms
        ]


@dataclass(frozen=True)
class MaskCell:
    """One cell of the grid of masks, on one model.

    Args:
        explanation: whose map ranks the pixels; its payload ends in an ``ExplainCell``.
        order: of the pixels.
        fill: of those that are not kept.
        keep: share that is kept, or none.
        remove: share that is replaced, or none.
    """

    explanation: Case
    order: Order
    fill: Fill
    keep: float | None
    remove: float | None

    @property
    def axes(self) -> dict[str, object]:
        """Public values, beside the model's."""
        taken = {name: self.explanation.axes[name] for name in ("method", "settings")}
        return {**taken, "order": self.order, "fill": self.fill, "keep": self.keep, "remove": self.remove}

    @property
    def words(self) -> tuple[str, ...]:
        """Values that the id of the case is made of."""
        form, share = ("keep", self.keep) if self.keep is not None else ("remove", self.remove)
        return (self.explanation.payload[1].method.id, self.order, self.fill, f"{form}{share:g}")

    @property
    def key(self) -> Key:
        """What decides the masked picture: cases of random order share theirs, whatever the method."""
        return (self.explanation.id if self.order == "map" else None, self.fill, self.keep, self.remove)

    def kept(self, rank: masks.Rank) -> np.ndarray:
        """Mark the pixels (H, W) that are kept."""
        if self.keep is not None:
            return np.asarray(rank < masks.count_of(self.keep, rank.size))
        return np.asarray(rank >= masks.count_of(self.remove or 0, rank.size))


@dataclass(frozen=True, eq=False)
class Masked:
    """One image under all its cases, masked but not yet looked at: each picture once, and one for each filling.

    Args:
        clean: the image under its model.
        maps: id of an explanation to what it gave.
        cases: to be done for it.
        seed: of the run.
        absolute: rank by the size of the evidence.
    """

    clean: Clean
    maps: Mapping[str, Explained]
    cases: Sequence[Case]
    seed: int
    absolute: bool

    @cached_property
    def places(self) -> dict[Key, int]:
        """Where the picture of each key stands among ``pictures``."""
        cells: list[MaskCell] = [case.payload[1] for case in self.cases]
        keys = dict.fromkeys([cell.key for cell in cells] + [filled_key(cell.fill) for cell in cells])
        return {key: place for place, key in enumerate(keys)}

    @cached_property
    def pictures(self) -> list[Tensor]:
        """The pictures (3, H, W), on the grid of eight bits."""
        cells: dict[Key, MaskCell] = {case.payload[1].key: case.payload[1] for case in self.cases}
        sha256, pixels = self.clean.image.sha256, self.clean.pixels
        fills: list[Fill] = [cell.fill for cell in cells.values()]
        filled = {fill: masks.filling(fill, pixels, self.seed, sha256) for fill in dict.fromkeys(fills)}
        made = []
        for key in self.places:
            cell = cells.get(key)
            fill: Fill = key[1]  # type: ignore[assignment]
            kept = None if cell is None else cell.kept(self.rank_of(cell))
            made.append(filled[fill] if kept is None else masks.masked(pixels, filled[fill], kept))
        return made

    @property
    def pixels(self) -> Pixels:
        """The pictures as a batch (P, 3, H, W)."""
        return torch.stack(self.pictures)

    def map_of(self, cell: MaskCell) -> Explained | None:
        """Give the map that ranks the pixels of a case; none for the random order."""
        return self.maps[cell.explanation.id] if cell.order == "map" else None

    def rank_of(self, cell: MaskCell) -> masks.Rank:
        """Rank the pixels (H, W) for a case, once for each map."""
        return self._ranks[cell.explanation.id if cell.order == "map" else None]

    @cached_property
    def _ranks(self) -> dict[str | None, masks.Rank]:
        height, width = self.clean.pixels.shape[1:]
        ties = masks.ties(self.seed, self.clean.image.sha256, (height, width))
        values = {name: np.abs(one.values) if self.absolute else one.values for name, one in self.maps.items()}
        return {None: masks.ranking(None, ties)} | {name: masks.ranking(one, ties) for name, one in values.items()}


def filled_key(fill: str) -> Key:
    """Give the key of a filling alone, of which nothing is kept."""
    return (None, fill, 0.0, None)
