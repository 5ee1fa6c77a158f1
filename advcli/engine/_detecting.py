"""What a detector can ask of one picture: does its explanation hold still when the picture is changed slightly?"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from advcli.core.choices import Probe
from advcli.core.precision import wide
from advcli.core.randomness import RowNoise
from advcli.core.records import ProbeRow
from advcli.core.similarities import HEADLINE
from advcli.engine._attacking import Attacked
from advcli.engine._comparing import Comparer, digests_of
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
class Detector:
    """Asks pictures how much their answers change under probes.

    Args:
        probes: slight changes.
        comparer: makes maps.
    """

    probes: Sequence[Probe]
    comparer: Comparer
    _clean: OrderedDict[tuple[str, str], Answers] = field(default_factory=OrderedDict)

    def rows(
        self, classifier: Classifier, attacked: Sequence[Attacked], cases: Sequence[Case]
    ) -> list[tuple[ProbeRow, ...]]:
        """Probe clean images, what attacks made of them, and as much random noise.

        Args:
            classifier: their model.
            attacked: images and attacks.
            cases: explanations of that model.

        Returns:
            The rows of each.
        """
        clean = [one.clean for one in attacked]
        images = torch.stack([one.pixels for one in clean])
        saved = torch.stack([one.saved.to(classifier.device) for one in attacked])
        noise = RowNoise.of(self.comparer.seed, digests_of(clean), "equal-noise")
        sides = [
            self._known(classifier, clean, cases),
            self._asked(classifier, clean, saved, cases),
            self._asked(classifier, clean, equal_noise(images, saved, noise), cases),
        ]
        return [tuple(_rows(*answers)) for answers in zip(*sides, strict=True)]

    def _known(self, classifier: Classifier, clean: Sequence[Clean], cases: Sequence[Case]) -> list[Answers]:
        """Answer for clean images, once for all attacks on them."""
        keys = [(classifier.card.name, one.image.item.identity) for one in clean]
        missing = {key: one for key, one in zip(keys, clean, strict=True) if key not in self._clean}
        if missing:
            some = list(missing.values())
            made = self._asked(classifier, some, torch.stack([one.pixels for one in some]), cases)
            self._clean.update(zip(missing, made, strict=True))
        found = [self._clean[key] for key in keys]
        while len(self._clean) > _REMEMBERED:
            self._clean.popitem(last=False)
        return found

    def _asked(
        self, classifier: Classifier, clean: Sequence[Clean], pixels: torch.Tensor, cases: Sequence[Case]
    ) -> list[Answers]:
        """Explain pictures for the class that each is taken for, as they are and under each probe."""
        logits = wide(classifier.logits(pixels).cpu())
        own = logits.argmax(1)
        targets = [own.tolist()] * len(cases)
        plain = self.comparer.explained(clean, pixels, cases, targets)
        probability = logits.softmax(1).gather(1, own[:, None])[:, 0].numpy()
        answers: list[Answers] = [{} for _ in clean]
        for probe in self.probes:
            noise = RowNoise.of(self.comparer.seed, digests_of(clean), "probe")
            changed = probed(pixels, probe, noise)
            later = wide(classifier.logits(changed).cpu()).softmax(1).gather(1, own[:, None])[:, 0].numpy()
            maps = self.comparer.explained(clean, changed, cases, targets)
            for place, told in enumerate(answers):
                for column, case in enumerate(cases):
                    alike = similarity(plain[place][column].values, maps[place][column].values)
                    told.update({(probe, case.id, metric): alike[metric] for metric in HEADLINE})
                told[probe, TOP_PROBABILITY, CHANGE] = float(np.abs(probability[place] - later[place]))
        return answers


def _rows(clean: Answers, adversarial: Answers, noisy: Answers) -> Iterator[ProbeRow]:
    for (probe, explanation, metric), value in clean.items():
        key = (probe, explanation, metric)
        yield ProbeRow(
            probe=probe,
            explanation=explanation,
            metric=metric,
            clean=value,
            adversarial=adversarial[key],
            noisy=noisy[key],
        )
