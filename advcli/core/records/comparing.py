"""Records of comparisons: an attack, and how far the explanations moved."""

from typing import ClassVar

from advcli.core.fields import Number, shown
from advcli.core.records.attack import AttackRecord
from advcli.core.records.base import Result


class SimilarityRow(Result):
    """One measure between the maps of one image before and after an attack; none where a constant map leaves it open.

    Attributes:
        explanation: id of the explanation.
        score: what was explained.
        after: ``same`` or ``own``: the class explained on the adversarial picture.
        metric: name of the measure, see ``core/similarities.py``.
        value: of the maps before and after; 1 for equal maps, 0 for the two measures of distance.
        floor_noise: the same between the clean map and that of the image with random noise in the attack's place, of
            equal norms.
    """

    explanation: str
    score: str
    after: str
    metric: str
    value: Number
    floor_noise: Number = None


class RegionRow(Result):
    """The most important tenth of a map before and after an attack.

    Attributes:
        explanation: id of the explanation.
        score: what was explained.
        after: ``same`` or ``own``: the class explained on the adversarial picture.
        box_before: [left, top, right, bottom], in pixels of the photograph, of the clean map's top tenth; none of a
            blank map.
        box_after: the same of the adversarial picture's map.
        share_before: of the absolute clean map that lies in its top tenth, in [0, 1].
        share_after: the same of the adversarial picture's map.
    """

    explanation: str
    score: str
    after: str
    box_before: tuple[int, ...] | None
    box_after: tuple[int, ...] | None
    share_before: Number
    share_after: Number


class ProbeRow(Result):
    """How much a picture's answer changes when the picture is changed slightly: what a detector can ask.

    Attributes:
        probe: the slight change.
        explanation: id of the explanation whose map is compared; ``top-probability`` for the control without maps.
        metric: measure between the maps before and after the probe, for the class that the picture itself is taken
            for; ``change`` for the control: by how much the probability of that class changes.
        clean: of the clean image.
        adversarial: of the adversarial picture.
        noisy: of the image with random noise as large as the attack.
        adaptive: of a picture that is misclassified, no further from the image than eps, and made to hide from this
            very detector; none where the detector is not attacked, or the attack failed.
    """

    probe: str
    explanation: str
    metric: str
    clean: Number
    adversarial: Number
    noisy: Number
    adaptive: Number = None


class CompareRecord(AttackRecord):
    """One image under one attack case, and what the explanations make of it.

    Attributes:
        explained_before: class explained on the clean image, by the first explanation.
        explained_after: class explained on the adversarial image; with ``--after both`` its own prediction.
        likeness: mean Spearman correlation of the maps before and after over the explanations and classes; none where
            none is defined. Low where the maps moved far.
        similarity: one row per explanation, class and measure.
        regions: one row per explanation and class.
        probes: with ``--detect``, one row per probe, explanation and measure.
        blank: ids of the explanations whose map before or after holds no evidence.
    """

    long_tables: ClassVar[frozenset[str]] = frozenset({"method_tests", "model_tests"})  # pairs of pairs

    explained_before: str | None = shown("explained before", "label")
    explained_after: str | None = shown("explained after", "label")
    likeness: Number = shown("likeness of the maps", "figure", terminal=True)
    similarity: tuple[SimilarityRow, ...] = shown("similarity of the maps", "list", default=())
    regions: tuple[RegionRow, ...] = ()
    probes: tuple[ProbeRow, ...] = ()
    blank: tuple[str, ...] = shown("blank maps", "list", default=())
