"""What a detector can ask of one picture: does its explanation hold still when the picture is changed slightly?"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch

from advcli.core.choices import Probe
from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.records import ProbeRow
from advcli.core.similarities import HEADLINE
from advcli.engine._adapting import Adapter, refusal
from advcli.engine._attacking import Attacked
from advcli.engine._comparing import Comparer, digests_of
from advcli.engine._maps import Explained
from advcli.metrics.equal_noise import equal_noise
from advcli.metrics.probes import probed
from advcli.metrics.similarity import similarity
from advcli.models.classifier import Classifier
from advcli.reports.detection_figures import CHANGE, TOP_PROBABILITY
from advcli.runs.command import Case
from advcli.runs.images import Clean

_REMEMBERED = 4096  # clean images whose answers are kept for their other attacks
Asked = tuple[str, str, str]  # probe, explanation, measure
Answers = dict[Asked, float | None]


@dataclass(frozen=True)
class Probed:
    """What is known of one attacked image.

    Args:
        rows: of its record.
        pictures: (3, H, W) each, that hide from one detector, by its name.
    """

    rows: tuple[ProbeRow, ...]
    pictures: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Detector:
    """Asks pictures how much their answers change under probes.

    Args:
        probes: slight changes.
        comparer: makes maps.
        adapter: attacks the detectors too; none where they are not attacked.
    """

    probes: Sequence[Probe]
    comparer: Comparer
    adapter: Adapter | None = None
    _clean: OrderedDict[tuple[str, str], Answers] = field(default_factory=OrderedDict)

    def probe(self, classifier: Classifier, attacked: Sequence[Attacked], cases: Sequence[Case]) -> list[Probed]:
        """Probe clean images, what attacks made of them, and as much random noise.

        Args:
            classifier: their model.
            attacked: images and attacks.
            cases: explanations of that model.

        Returns:
            One for each, in order.
        """
        clean = [one.clean for one in attacked]
        images = torch.stack([one.pixels for one in clean])
        saved = torch.stack([one.saved.to(classifier.device) for one in attacked])
        noise = RowNoise.of(self.comparer.seed, digests_of(clean), "equal-noise")
        sides = [
            self._known(classifier, clean, cases),
            self._asked(classifier, clean, saved, cases, self.probes),
            self._asked(classifier, clean, equal_noise(images, saved, noise), cases, self.probes),
        ]
        hidden, pictures = self._hidden(classifier, attacked, cases)
        return [Probed(tuple(_rows(*answers)), named) for *answers, named in zip(*sides, hidden, pictures, strict=True)]

    def _hidden(
        self, classifier: Classifier, attacked: Sequence[Attacked], cases: Sequence[Case]
    ) -> tuple[list[Answers], list[dict[str, torch.Tensor]]]:
        """Attack each detector, and put its question to what comes out."""
        answers: list[Answers] = [{} for _ in attacked]
        pictures: list[dict[str, torch.Tensor]] = [{} for _ in attacked]
        if self.adapter is None:
            return answers, pictures
        open_to = [case for case in cases if refusal(case.payload[1].method) is None]
        for probe, case in product(self.probes, [*open_to, None]):
            found = self.adapter.pictures(classifier, attacked, probe, case)
            places = [place for place, picture in enumerate(found) if picture is not None]
            made = [picture for picture in found if picture is not None]
            if not made:
                continue
            clean, own = [attacked[place].clean for place in places], [] if case is None else [case]
            asked = self._asked(classifier, clean, torch.stack(made), own, [probe])
            name = TOP_PROBABILITY if case is None else case.id
            for place, picture, told in zip(places, made, asked, strict=True):
                answers[place] |= {key: value for key, value in told.items() if key[1] == name}
                pictures[place][f"adaptive-{name}-{probe}"] = picture
        return answers, pictures

    def _known(self, classifier: Classifier, clean: Sequence[Clean], cases: Sequence[Case]) -> list[Answers]:
        """Answer for clean images, once for all attacks on them."""
        keys = [(classifier.card.name, one.image.item.identity) for one in clean]
        missing = {key: one for key, one in zip(keys, clean, strict=True) if key not in self._clean}
        if missing:
            some = list(missing.values())
            made = self._asked(classifier, some, torch.stack([one.pixels for one in some]), cases, self.probes)
            self._clean.update(zip(missing, made, strict=True))
        found = [self._clean[key] for key in keys]
        while len(self._clean) > _REMEMBERED:
            self._clean.popitem(last=False)
        return found

    def _asked(
        self,
        classifier: Classifier,
        clean: Sequence[Clean],
        pixels: torch.Tensor,
        cases: Sequence[Case],
        probes: Sequence[Probe],
    ) -> list[Answers]:
        """Explain pictures for the class that each is taken for, as they are and under each probe."""
        logits = wide(classifier.logits(pixels).cpu())
        own = logits.argmax(1)
        targets = [own.tolist()] * len(cases)
        plain = self._explained(clean, pixels, cases, targets)
        probability = logits.softmax(1).gather(1, own[:, None])[:, 0].numpy()
        answers: list[Answers] = [{} for _ in clean]
        for probe in probes:
            noise = RowNoise.of(self.comparer.seed, digests_of(clean), "probe")
            changed = probed(pixels, probe, noise)
            later = wide(classifier.logits(changed).cpu()).softmax(1).gather(1, own[:, None])[:, 0].numpy()
            maps = self._explained(clean, changed, cases, targets)
            for place, told in enumerate(answers):
                for column, case in enumerate(cases):
                    alike = similarity(plain[place][column].values, maps[place][column].values)
                    told.update({(probe, case.id, metric): alike[metric] for metric in HEADLINE})
                told[probe, TOP_PROBABILITY, CHANGE] = float(np.abs(probability[place] - later[place]))
        return answers

    def _explained(
        self, clean: Sequence[Clean], pixels: torch.Tensor, cases: Sequence[Case], targets: Sequence[Sequence[int]]
    ) -> list[list[Explained]]:
        return self.comparer.explained(clean, pixels, cases, targets) if cases else [[] for _ in clean]


def _rows(clean: Answers, adversarial: Answers, noisy: Answers, adaptive: Answers) -> Iterator[ProbeRow]:
    for (probe, explanation, metric), value in clean.items():
        key = (probe, explanation, metric)
        yield ProbeRow(
            probe=probe,
            explanation=explanation,
            metric=metric,
            clean=value,
            adversarial=adversarial[key],
            noisy=noisy[key],
            adaptive=adaptive.get(key),
        )
