"""What the measures give where no attack is: between maps of unrelated images, and between two runs of one method."""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from advcli.core.similarities import MEASURES
from advcli.engine._comparing import Comparer
from advcli.engine._maps import Explained
from advcli.metrics.movement import compare_maps
from advcli.models.classifier import Classifier
from advcli.reports.bootstrap import mean_intervals
from advcli.reports.tables import write_csv
from advcli.runs.command import Case, Item
from advcli.runs.holding import looks
from advcli.runs.images import Image, Reader, look_at, read_ahead

SAMPLE = 100  # images whose clean maps are paired
FLOORS = "floors.csv"
Row = dict[str, object]


@dataclass(frozen=True)
class Floors:
    """The clean maps of a sample of a run's images, and what is measured between them.

    The sample is chosen by the names of the images, so that it is the same for every order and interruption. Image by
    image in the order of the digests, each map is paired with the next one's.

    Args:
        comparer: makes maps.
        classifiers: of the run.
        reader: reads images whose maps an earlier call made.
        items: of the run.
        path: of the table, which a later call reads.
        known: rows of the table; filled in by ``complete``.
    """

    comparer: Comparer
    classifiers: Sequence[Classifier]
    reader: Reader
    items: Sequence[Item]
    path: Path
    known: list[Row] = field(default_factory=list)
    _kept: dict[tuple[str, str], list[Explained]] = field(default_factory=dict)
    _sample: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Choose the sample, and take what an earlier call measured between the same images."""
        ranked = sorted(self.items, key=lambda item: hashlib.sha256(item.identity.encode("utf-8", "replace")).digest())
        self._sample.extend(ranked[:SAMPLE])
        if self.path.exists():
            self.known.extend(row for row in _read(self.path) if row.get("sample") == self._digest)

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(item.identity for item in self._sample)

    @cached_property
    def _digest(self) -> str:
        """Of the names and sizes of the sample's files."""
        seen = [(item, looks(item.file) if item.file else None) for item in self._sample]
        names = "\n".join(f"{item.identity} {stat[0] if stat else 0}" for item, stat in seen)
        return hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()[:16]

    def keep(self, maps: Iterable[Sequence[Explained]]) -> None:
        """Keep clean maps that belong to the sample."""
        for mine in maps:
            clean = mine[0].clean
            key = (clean.classifier.card.name, clean.image.item.identity)
            if clean.image.item.identity in self._wanted and key not in self._kept:
                alone = clean.alone()
                self._kept[key] = [replace(one, clean=alone, values=one.values.copy()) for one in mine]

    def complete(self, cases: Sequence[Case]) -> None:
        """Measure for each model that has no rows yet, and write the table.

        Args:
            cases: explanations of all models; each one's payload begins with the place of its model.
        """
        for place, classifier in enumerate(self.classifiers):
            mine, model = [case for case in cases if case.payload[0] == place], classifier.card.name
            if mine and not any(row["model"] == model for row in self.known):
                self.known.extend(self._measured(place, model, mine))
        if self.known:
            write_csv(self.known, self.path)

    def _measured(self, place: int, model: str, cases: Sequence[Case]) -> Iterator[Row]:
        maps = self._maps(place, model, cases)
        pairs = [(first, first + 1) for first in range(len(maps) - 1)] + ([(len(maps) - 1, 0)] if len(maps) > 2 else [])
        again = self._again(maps, cases)
        for column, case in enumerate(cases):
            facts = {"sample": self._digest, "model": model, "method": case.id, "score": case.payload[1].score}
            shuffled = [compare_maps(maps[a][column].values, maps[b][column].values) for a, b in pairs]
            yield from _rows({**facts, "kind": "shuffled"}, shuffled)
            rerun = [compare_maps(a[column].values, b[column].values) for a, b in zip(maps, again, strict=False)]
            yield from _rows({**facts, "kind": "rerun"}, rerun if _draws(case) else [])

    def _maps(self, place: int, model: str, cases: Sequence[Case]) -> list[list[Explained]]:
        """Give the maps of the sample; those that no attack asked for are made now."""
        missing = [item for item in self._sample if (model, item.identity) not in self._kept]
        read = read_ahead(iter([(item, ()) for item in missing]), self.reader, self.comparer.batch_size)
        images = [one for one in read if isinstance(one, Image)]
        for start in range(0, len(images), self.comparer.batch_size):
            clean = look_at(self.classifiers[place], images[start : start + self.comparer.batch_size], place)
            self.keep(self.comparer.clean(clean, cases))
        names = [(model, item.identity) for item in self._sample]
        return [self._kept[name] for name in names if name in self._kept]

    def _again(self, maps: Sequence[Sequence[Explained]], cases: Sequence[Case]) -> list[list[Explained]]:
        """Explain the sample once more with other random numbers; nothing where no method draws."""
        found: list[list[Explained]] = []
        if not any(map(_draws, cases)):
            return found
        clean = [mine[0].clean for mine in maps]
        for start in range(0, len(clean), self.comparer.batch_size):
            part = clean[start : start + self.comparer.batch_size]
            found += self.comparer.clean(part, cases, seed=-1 - self.comparer.seed)
        return found


def _draws(case: Case) -> bool:
    return any(part.method.asks_for("noise") for part in case.payload[-1].parts)


def _rows(facts: Mapping[str, object], values: Sequence[Mapping[str, float | None]]) -> Iterator[Row]:
    """Average each measure; of a method that draws nothing two runs are the same."""
    for name, measure in MEASURES.items():
        if not values:
            same = {"n": 0, "undefined": 0, "mean": measure.same, "low": None, "high": None}
            yield {**facts, "metric": name, **(same if facts["kind"] == "rerun" else {**same, "mean": None})}
            continue
        column = np.array([[np.nan if one[name] is None else one[name]] for one in values], dtype=np.float64)
        yield {**facts, "metric": name, **mean_intervals(column).row(0)}


def _read(path: Path) -> list[Row]:
    """Read a table that an earlier call wrote; one that cannot be read is made again."""
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                numbers = {name: float(row[name]) if row[name] else None for name in ("mean", "low", "high")}
                rows.append({**row, **numbers, "n": int(row["n"]), "undefined": int(row["undefined"])})
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    return rows
