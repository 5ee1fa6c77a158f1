"""One line of records.jsonl: what is known about one item under one case, as pydantic models.

The keys are the public contract; ``advcli run schema COMMAND`` prints it. Records hold no times and no host names, so
that they are byte-equal between runs.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from advcli.core.fields import Number, shown

SCHEMA_VERSION = 2


class Result(BaseModel):
    """Frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Top(Result):
    """One class and its softmax probability."""

    name: str
    probability: Number


class AnyRecord(Result):
    """What stands in every line.

    Attributes:
        item: identity of the item: for an image its path relative to the folder that was given, with forward slashes.
        source: what to open, or what the item was made from.
        sha256: of the item's bytes; none where they could not be read.
        bytes: their number.
        case: id of the case, unique in the run; none where the item failed before any case.
        status: ``ok``; ``error`` where the item or the case failed; ``not-applicable`` where the case makes no sense
            for the item, such as a target that is the item's own label.
        error: the reason where the status is not ``ok``.
        flags: what a reader should know about this result, such as ``blank`` or ``already-wrong``.
        files: kind of picture to its path, relative to the run's folder.
        digests: kind of picture to the SHA-256 of its bytes.
    """

    item: str = shown("item", "identity", default=...)
    source: str = shown("source", "hidden", default="")
    sha256: str | None = None
    bytes: int | None = None
    case: str | None = shown("case", "identity", terminal=True)
    status: Literal["ok", "error", "not-applicable"] = "ok"
    error: str | None = shown("error", "flag")
    flags: tuple[str, ...] = shown("notes", "list", terminal=True, default=())
    files: dict[str, str] = shown("pictures", "picture", default={})
    digests: dict[str, str] = {}


class ErrorRecord(AnyRecord):
    """An item that could not be used, or a case that failed for it; its ``status`` is ``error``."""

    status: Literal["error"] = "error"
    error: str
    path: str | None = None


class Record(AnyRecord):
    """A result of one item under one case; commands add their figures."""

    status: Literal["ok", "not-applicable"] = "ok"


class ImageRecord(Record):
    """What every command over images knows of one image under one model.

    Attributes:
        path: the same as ``item``.
        width: of the picture as read, in pixels.
        height: of the picture as read, in pixels.
        model: name of the model.
        label: class name the image is held against.
        label_source: ``folder``, ``file``, ``record`` or ``predicted``.
        prediction: class with the highest logit on the clean image.
        probability: softmax probability of ``prediction``, in [0, 1].
        top5: the five most probable classes of the clean image.
        margin: logit of the label minus the largest other logit on the clean image; negative where misclassified.
    """

    path: str = ""
    width: int | None = None
    height: int | None = None
    model: str | None = shown("model", "axis")
    label: str | None = shown("is", "label", terminal=True)
    label_source: Literal["folder", "file", "record", "predicted"] | None = None
    prediction: str | None = shown("taken for", "class", terminal=True)
    probability: Number = shown("probability", "probability", terminal=True)
    top5: tuple[Top, ...] = shown("top 5", "list", default=())
    margin: Number = shown("margin", "figure")


class AttackRecord(ImageRecord):
    """One image under one attack case.

    Attributes:
        method: name of the attack.
        settings: its settings, defaults filled in.
        norm: in which eps is measured; none where the attack has no ball.
        eps: radius of the ball in that norm, in pixel units ([0, 1]; for l0 a count); none where it is of no use.
        target_rule: what ``--target`` said; for ``all`` one of the classes, for a file its name and a digest.
        target: class to reach; none for an untargeted attack.
        adversarial_prediction: class of the adversarial picture as saved.
        adversarial_probability: softmax probability of that class.
        adversarial_top5: the five most probable classes of the saved picture.
        adversarial_margin: as ``margin``, of the saved picture.
        misclassified: the float pixels that the attack found are not classified as ``label``; comparable with the
            literature.
        misclassified_as_saved: the PNG, read back, is not classified as ``label``, by more than rounding errors of the
            network.
        target_reached: the float pixels are classified as ``target``; none for an untargeted attack.
        target_reached_as_saved: the same of the PNG, by more than rounding errors.
        implied: not computed, because a smaller eps was enough; the point found there stands.
        stage: member of a composed attack that found the point; none for a plain attack.
        restart: number of the restart that found the point, from 0.
        indicators: with ``--diagnose``, and of ``autoattack``: signs that the image withstood because the attack is
            weak, see ``core/indicators.py``; empty where it did not withstand.
        diagnosis: the figures that they rest on, and ``passes``, what they cost; empty without a diagnosis.
        forward_passes: forward passes of the search.
        backward_passes: backward passes of the search.
        verification_passes: forward passes that checked what the search found: in fp32, and as eight-bit pictures.
        linf: largest change of a value of the float point, in [0, 1].
        l2: Euclidean length of its change, in pixel units.
        l1: sum of its absolute changes, in pixel units.
        l0: number of values that it changes.
        l0_pixels: number of pixels that it changes.
        ssim: structural similarity of image and float point, 1 where they are equal; none below 7 x 7 pixels.
        psnr: peak signal-to-noise ratio of the float point in dB; none where nothing changed.
        linf_as_saved: the same of the saved picture, as are those that follow.
    """

    method: str | None = shown("attack", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    norm: str | None = shown("norm", "axis")
    eps: Number = shown("eps", "axis")
    target_rule: str | None = shown("target rule", "axis")
    target: str | None = shown("target", "label", terminal=True)
    adversarial_prediction: str | None = shown("then for", "class", terminal=True)
    adversarial_probability: Number = shown("probability then", "probability", terminal=True)
    adversarial_top5: tuple[Top, ...] = shown("top 5 then", "list", default=())
    adversarial_margin: Number = shown("margin then", "figure")
    misclassified: bool | None = shown("misclassified", "flag")
    misclassified_as_saved: bool | None = shown("misclassified as saved", "flag")
    target_reached: bool | None = shown("target reached", "flag")
    target_reached_as_saved: bool | None = shown("target reached as saved", "flag")
    implied: bool | None = shown("implied", "flag")
    stage: str | None = shown("stage", "list")
    restart: int | None = None
    indicators: tuple[str, ...] = shown("signs of a weak attack", "list", terminal=True, default=())
    diagnosis: dict[str, Number] = shown("diagnosis", "list", default={})
    forward_passes: int | None = shown("forward passes", "figure")
    backward_passes: int | None = shown("backward passes", "figure")
    verification_passes: int | None = shown("verification passes", "figure")
    linf: Number = shown("linf", "figure", unit="1/255", terminal=True)
    l2: Number = shown("l2", "figure", terminal=True)
    l1: Number = shown("l1", "figure")
    l0: int | None = shown("l0", "figure")
    l0_pixels: int | None = shown("l0 pixels", "figure")
    ssim: Number = shown("SSIM", "figure")
    psnr: Number = shown("PSNR", "figure", unit="dB")
    linf_as_saved: Number = shown("linf as saved", "figure", unit="1/255")
    l2_as_saved: Number = shown("l2 as saved", "figure")
    l1_as_saved: Number = shown("l1 as saved", "figure")
    l0_as_saved: int | None = shown("l0 as saved", "figure")
    l0_pixels_as_saved: int | None = shown("l0 pixels as saved", "figure")


class MapRecord(ImageRecord):
    """One image explained by one method.

    Attributes:
        method: name of the method.
        settings: its settings, defaults filled in.
        score: ``logit``, ``prob``, ``logprob`` or ``loss``.
        class_rule: what ``--class`` said.
        explained: the class whose score is explained.
        explained_against: the class whose score is taken away from it, with ``--class A,B:difference``; none otherwise.
        layer: the layer that was watched, or the layers whose maps were averaged; none where the method needs none.
        notes: figures of the method about this map, such as ``completeness_gap``.
        box_top10: [left, top, right, bottom], in pixels of the photograph, of the most important tenth of the map.
        box_top: the same of the share that ``--top`` named; none without it.
        share_central: share of the absolute map inside the central box of half the width and height.
        grade: with ``--grade``, how good the map is, measure by measure; a measure that is undefined is none.
        curves: with ``--grade``, the probability of the class at near-equal steps of deletion and insertion, by the
            map's order and a random one, and the similarity to the map of networks with more and more random layers.
    """

    method: str | None = shown("method", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    score: str | None = shown("score", "axis")
    class_rule: str | None = shown("class rule", "axis")
    explained: str | None = shown("explained", "label", terminal=True)
    explained_against: str | None = shown("and not", "label", terminal=True)
    layer: str | None = shown("layer", "list", terminal=True)
    notes: dict[str, Number] = shown("figures", "list", default={})
    box_top10: tuple[int, int, int, int] | None = shown("box of the top tenth", "list")
    box_top: tuple[int, int, int, int] | None = shown("box of the top share", "list")
    share_central: Number = shown("share central", "figure")
    grade: dict[str, Number] = shown("grade", "list", default={})
    curves: dict[str, tuple[Number, ...]] = {}


class MaskRecord(ImageRecord):
    """One image of which some pixels are kept and the others replaced.

    Attributes:
        method: name of the explanation that ranks the pixels.
        settings: its settings, defaults filled in.
        order: ``map``, the most important pixels first, or ``random``, the control.
        fill: what stands in the place of the other pixels.
        keep: share of the pixels that is kept, the first in the order; none in the reverse form.
        remove: share of the pixels that is replaced, the first in the order; none where ``keep`` is given.
        share_kept: of the pixels, as it came out in whole pixels, in [0, 1].
        layer: the layer that was watched; none where the method needs none.
        prediction_after: class of the masked picture, as saved.
        probability_after: softmax probability of ``prediction``, the class before, on the masked picture.
        probability_filled: the same where every pixel is replaced.
        top5_after: the five most probable classes of the masked picture.
        flipped: ``prediction_after`` is another class than ``prediction``.
    """

    method: str | None = shown("method", "axis")
    settings: dict[str, object] = shown("settings", "axis", default={})
    order: str | None = shown("order", "axis")
    fill: str | None = shown("fill", "axis")
    keep: Number = shown("keep", "axis")
    remove: Number = shown("remove", "axis")
    share_kept: Number = shown("share kept", "figure")
    layer: str | None = shown("layer", "list")
    prediction_after: str | None = shown("then for", "class", terminal=True)
    probability_after: Number = shown("of the first class", "figure", terminal=True)
    probability_filled: Number = shown("of it, all replaced", "figure")
    top5_after: tuple[Top, ...] = shown("top 5 then", "list", default=())
    flipped: bool | None = shown("flipped", "flag")


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
    """

    probe: str
    explanation: str
    metric: str
    clean: Number
    adversarial: Number
    noisy: Number


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

    explained_before: str | None = shown("explained before", "label")
    explained_after: str | None = shown("explained after", "label")
    likeness: Number = shown("likeness of the maps", "figure", terminal=True)
    similarity: tuple[SimilarityRow, ...] = shown("similarity of the maps", "list", default=())
    regions: tuple[RegionRow, ...] = ()
    probes: tuple[ProbeRow, ...] = ()
    blank: tuple[str, ...] = shown("blank maps", "list", default=())


class EpochRecord(Record):
    """One epoch of a training.

    Attributes:
        epoch: 1 for the first.
        loss: mean training loss.
        train_accuracy: share of the augmented training images that were right before the step that they took part in.
        validation_loss: mean cross-entropy of the validation images after the epoch; none without such images.
        validation_accuracy: share of the validation images that are right after the epoch.
        validation_robust_loss: mean cross-entropy of the validation images under ten steps of pgd in the ball of the
            training's attack; none without validation images or attack.
        validation_robust_accuracy: share of them that are right under that attack.
        test_loss: mean cross-entropy of the test images after the epoch; none without test images.
        test_accuracy: share of the test images that are right after the epoch; none without test images.
        learning_rate: of the last step.
        alpha: mean alpha of the spectra of the weights; none without ``--stop-on alpha``.
        over_trained: number of layers whose alpha is below 2.
    """

    epoch: int = shown("epoch", "axis", default=0)
    loss: Number = shown("loss", "figure", terminal=True)
    train_accuracy: Number = shown("train accuracy", "figure", terminal=True)
    validation_loss: Number = shown("validation loss", "figure")
    validation_accuracy: Number = shown("validation accuracy", "figure", terminal=True)
    validation_robust_loss: Number = shown("validation loss, attacked", "figure")
    validation_robust_accuracy: Number = shown("validation accuracy, attacked", "figure", terminal=True)
    test_loss: Number = shown("test loss", "figure")
    test_accuracy: Number = shown("test accuracy", "figure", terminal=True)
    learning_rate: Number = shown("learning rate", "figure", terminal=True)
    alpha: Number = shown("alpha", "figure", terminal=True)
    over_trained: int | None = shown("over-trained layers", "count")


class NoiseHit(Result):
    """One of the most confident pictures of a block of attempts.

    Attributes:
        attempt: its number.
        prediction: class that the network says.
        probability: softmax probability of that class, in fp32, of the very picture that is saved.
        hit: the probability reaches the threshold.
        file: the picture, relative to the run's folder.
    """

    attempt: int
    prediction: str
    probability: Number
    hit: bool
    file: str


class NoiseRecord(Record):
    """One block of pictures of pure noise, or one picture made from noise by climbing, under one model.

    Attributes:
        model: name of the model.
        noise: kind of noise.
        first: number of the block's first attempt.
        attempts: pictures of the block.
        sought: class that the picture was made for; none for pure noise.
        hits: pictures whose highest softmax probability reaches the threshold.
        hits_by_class: class to number of hits; only classes that have some.
        classes: class to number of pictures, hits or not; only classes that have some.
        confidence_histogram: pictures by their highest softmax probability, in twenty bins of 0.05 from 0 to 1.
        kept: the most confident pictures, which are saved.
        probabilities: highest softmax probability of each attempt, in their order, to seven digits.
        predictions: place of each attempt's class among the model's classes.
        max_logits: highest logit of each attempt.
        energies: minus the log-sum-exp of each attempt's logits; low where the network finds something familiar.
        temperature: that the logits are divided by for the calibrated figures; none without labelled images.
        calibrated_hits: pictures whose calibrated probability reaches the threshold.
        calibrated_probabilities: highest softmax probability of each attempt at that temperature.
        forward_passes: of the climb; none for pure noise.
        backward_passes: of the climb; none for pure noise.
    """

    model: str | None = shown("model", "axis")
    noise: str | None = shown("noise", "axis")
    first: int | None = shown("first attempt", "list")
    attempts: int | None = shown("attempts", "count", terminal=True)
    sought: str | None = shown("sought", "label", terminal=True)
    hits: int | None = shown("hits", "count", terminal=True)
    hits_by_class: dict[str, int] = shown("hits by class", "list", default={})
    classes: dict[str, int] = {}
    confidence_histogram: tuple[int, ...] = ()
    kept: tuple[NoiseHit, ...] = ()
    probabilities: tuple[float, ...] = ()
    predictions: tuple[int, ...] = ()
    max_logits: tuple[float, ...] = ()
    energies: tuple[float, ...] = ()
    temperature: Number = shown("temperature", "list")
    calibrated_hits: int | None = shown("calibrated hits", "count")
    calibrated_probabilities: tuple[float, ...] = ()
    forward_passes: int | None = shown("forward passes", "count")
    backward_passes: int | None = shown("backward passes", "count")
