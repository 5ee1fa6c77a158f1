"""What noise-search does to its items: blocks of pure noise are looked at, climbs begin at noise and flow."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from advcli.attacks._fooling import Fooling
from advcli.core.precision import wide
from advcli.core.randomness import key
from advcli.core.records import NoiseRecord
from advcli.engine._ahead import ahead
from advcli.engine._noise_items import Block, Climb
from advcli.engine._noise_results import NoiseResults
from advcli.images.noise import Levels, noise
from advcli.metrics.confidence import Confidence
from advcli.models.classifier import Classifier
from advcli.runs.classifiers import default_batch_size
from advcli.runs.command import Case, Item, Known, Product, RunConfig
from advcli.runs.images import Todo
from advcli.search.attempt import Attempt
from advcli.search.flow import Job, flow

_NEAR = 0.03  # of the largest logit: twice what bf16 was seen to move log-odds by where it changed a hit
# Pixels that a CPU's cache holds best on the way forward. Measured on a ResNet-20 with one thread, 256 rows of 32 x 32:
# 231 ms in parts of 64, 259 of 128, 280 of 256; from 16 rows on the logits are the same to the bit.
_CACHED = 64 * 32 * 32
_BEYOND = 0.25  # log-odds by which a climb goes beyond the threshold, for rounding to eight bits takes some back


@dataclass(frozen=True)
class NoiseSearching:
    """Works through blocks and climbs.

    Args:
        run: of the run.
        results: makes the records; knows the classifiers and the threshold.
        keep: pictures of each block that are saved.
        climbs: starts of every class; 0 for none.
    """

    run: RunConfig
    results: NoiseResults
    keep: int
    climbs: int

    @property
    def classifiers(self) -> Sequence[Classifier]:
        """Of the run."""
        return self.results.classifiers

    @property
    def log_odds(self) -> float:
        """The threshold as log-odds."""
        return math.log(self.results.threshold / (1 - self.results.threshold))

    @property
    def batch_size(self) -> int:
        """Pictures that are turned into floats together."""
        sizes = [default_batch_size(one.card.preprocessing.size, one.device) for one in self.classifiers]
        return self.run.batch_size or min(sizes)

    def work(self, todo: Todo, known: Known) -> Iterator[Product]:
        """Look at the blocks, then climb."""
        del known
        later: list[tuple[Item, Sequence[Case]]] = []

        def blocks() -> Iterator[tuple[Item, Sequence[Case]]]:
            for item, cases in todo:
                if isinstance(item.payload, Block):
                    yield item, cases
                else:
                    later.append((item, cases))

        # The noise of the next blocks is made by a thread while the network looks at this one.
        for (item, cases), pictures in ahead(blocks(), self._pictures):
            for case in cases:
                self.run.listener.phase(case.id)
                yield self._looked(item, case, pictures[self._key(case)])
        yield from self._climbed(later)

    def _key(self, case: Case) -> tuple[str, tuple[int, int]]:
        place, kind = case.payload
        return kind, self.classifiers[place].card.preprocessing.size

    def _pictures(self, one: tuple[Item, Sequence[Case]]) -> dict[tuple[str, tuple[int, int]], Levels]:
        """Make the noise of a block, once for all models of one size."""
        block: Block = one[0].payload
        wanted = dict.fromkeys(self._key(case) for case in one[1])
        return {(kind, size): noise(kind, self.run.seed, block.first, block.count, size) for kind, size in wanted}

    def _looked(self, item: Item, case: Case, levels: Levels) -> Product:
        block: Block = item.payload
        classifier = self.classifiers[case.payload[0]]
        logits = self._logits(classifier, levels)
        said = Confidence.of(logits)
        kept = most_confident(said, self.keep)
        facts = {**self.results.figures(case, said, logits), "first": block.first}
        pixels = as_pixels(levels[kept], classifier.device)
        return self.results.product(item, case, facts, pixels, said, kept, [block.first + place for place in kept])

    def _logits(self, classifier: Classifier, levels: Levels) -> np.ndarray:
        """Look at pictures, float64 (N, K); what low precision leaves in doubt, and what is kept, in fp32."""
        low = classifier.precision != "fp32"
        look: Callable[[Tensor], Tensor] = partial(_search_logits, classifier) if low else classifier.logits
        logits = self._in_batches(look, levels, classifier)
        if low:
            said = Confidence.of(logits)
            doubt = np.abs(said.log_odds - self.log_odds)
            again = doubt < _NEAR * np.abs(logits).max(1)
            again[most_confident(said, self.keep)] = True
            if again.any():
                logits[again] = self._in_batches(classifier.logits, levels[again], classifier)
        return logits

    def _in_batches(self, look: Callable[[Tensor], Tensor], levels: Levels, classifier: Classifier) -> np.ndarray:
        size = self.batch_size
        if classifier.device.type == "cpu":
            size = min(size, _CACHED // math.prod(classifier.card.preprocessing.size))
        size = max(size, classifier.block)
        parts = [
            wide(look(as_pixels(levels[start : start + size], classifier.device)).cpu())
            for start in range(0, len(levels), size)
        ]
        return torch.cat(parts).numpy()

    def _climbed(self, todo: Sequence[tuple[Item, Sequence[Case]]]) -> Iterator[Product]:
        """Climb from noise to every class, all climbs in one flow."""
        starts: dict[str, tuple[Tensor, list[int]]] = {}
        jobs: list[Job[Product]] = []
        for item, cases in todo:
            climb: Climb = item.payload
            for case in cases:
                if climb.target >= len(self.classifiers[case.payload[0]].card.classes):
                    absent = NoiseRecord(item=item.identity, case=case.id, status="not-applicable", **case.axes)
                    yield Product(item, absent)
                    continue
                if case.id not in starts:
                    starts[case.id] = self._starts(case)
                pixels, labels = starts[case.id]
                jobs.append(self._climb(item, case, pixels[climb.start], labels[climb.start]))
        self.run.listener.phase("climbing to fooling images")
        yield from flow(jobs, batch_size=self.run.batch_size, on_progress=self.run.listener.progress)

    def _starts(self, case: Case) -> tuple[Tensor, list[int]]:
        """Give the pictures that climbs begin at, and what the network says of them."""
        place, kind = case.payload
        classifier = self.classifiers[place]
        levels = noise(kind, self.run.seed, 0, self.climbs, classifier.card.preprocessing.size)
        logits = self._in_batches(classifier.logits, levels, classifier)
        return as_pixels(levels, classifier.device), logits.argmax(1).tolist()

    def _climb(self, item: Item, case: Case, start: Tensor, label: int) -> Job[Product]:
        climb: Climb = item.payload
        classifier = self.classifiers[case.payload[0]]
        beyond = self.log_odds + _BEYOND
        attack = Fooling(confidence=1 / (1 + math.exp(-beyond)))
        words = key(self.run.seed, "", "fooling", item.identity, case.id)
        (outcome,) = yield [Attempt(classifier, attack, start, label, climb.target, key=tuple(words))]
        assert outcome is not None
        logits = wide(outcome.saved_logits[None]).numpy()
        said = Confidence.of(logits)
        facts = {
            **self.results.figures(case, said, logits),
            "sought": classifier.card.classes[climb.target],
            "first": climb.start,
            "forward_passes": outcome.forward_passes,
            "backward_passes": outcome.backward_passes,
        }
        wrong = said.predictions[0] != climb.target
        if wrong:  # sure, but of another class
            facts |= {"hits": 0, "hits_by_class": {}}
        pixels = outcome.saved[None].to(classifier.device)
        return self.results.product(item, case, facts, pixels, said, [0], [climb.start])


def _search_logits(classifier: Classifier, pixels: Tensor) -> Tensor:
    return classifier.look(pixels, gradient=False).logits


def as_pixels(levels: Levels, device: torch.device) -> Tensor:
    """Turn uint8 (N, 3, H, W) into pixels in [0, 1] on a device."""
    return torch.from_numpy(levels).to(device).float().div_(255)


def most_confident(said: Confidence, count: int) -> list[int]:
    """Places of the pictures that the network is surest of, the first of equals first."""
    order: list[int] = np.argsort(-said.log_odds, kind="stable")[:count].tolist()
    return order
