"""What a command leaves behind, as pydantic models: one record per image, one report per run."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

SCHEMA_VERSION = 1


def _finite(value: object) -> object:
    """Turn NaN and infinity into null: JSON has no word for them."""
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


Number = Annotated[float | None, BeforeValidator(_finite)]


class Result(BaseModel):
    """Frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Record(Result):
    """What every command knows about one image.

    Attributes:
        path: identity of the image: relative to the folder that was given, with forward slashes.
        source: where the bytes were read.
        sha256: of the bytes; none where they could not be read.
        status: ``error`` where the image could not be used; ``error`` then says why.
        width: of the picture as read, in pixels.
        height: likewise.
        label: class name the image is held against.
        label_source: ``folder``, ``file``, ``record`` or ``predicted``.
        prediction: class with the highest logit on the clean image.
        probability: softmax probability of ``prediction``, in [0, 1].
        flags: what a reader should know about this image, such as ``blank`` or ``already-wrong``.
        files: kind of picture to its path, relative to the run's folder.
    """

    path: str
    source: str
    sha256: str | None = None
    status: Literal["ok", "error"] = "ok"
    error: str | None = None
    width: int | None = None
    height: int | None = None
    label: str | None = None
    label_source: str | None = None
    prediction: str | None = None
    probability: Number = None
    flags: tuple[str, ...] = ()
    files: dict[str, str] = {}


class AttackRecord(Record):
    """One image under one attack.

    Attributes:
        method: the attack's name in this run.
        settings: its settings, defaults filled in.
        norm: in which eps is measured; none where the attack has no ball.
        eps: radius of the ball, in pixel units ([0, 1]).
        target: class to reach; none for an untargeted attack.
        adversarial_prediction: class of the adversarial picture as saved.
        adversarial_probability: softmax probability of that class.
        fooled: the float pixels that the attack found are not classified as ``label``; comparable with the literature.
        fooled_as_saved: the PNG, read back, is not classified as ``label``, by more than the network's rounding errors.
        hit_target: the picture as saved is classified as ``target``; none for an untargeted attack.
        passes: forward passes that the search took, the final check of the eight-bit picture included.
        pulls: backward passes that the search took.
        linf: largest change of a pixel value, as saved, in [0, 1].
        l2: Euclidean length of the change, as saved, in pixel units.
    """

    method: str | None = None
    settings: dict[str, object] = {}
    norm: str | None = None
    eps: Number = None
    target: str | None = None
    adversarial_prediction: str | None = None
    adversarial_probability: Number = None
    fooled: bool | None = None
    fooled_as_saved: bool | None = None
    hit_target: bool | None = None
    passes: int | None = None
    pulls: int | None = None
    linf: Number = None
    l2: Number = None


class MapRecord(Record):
    """One image explained by one method.

    Attributes:
        method: the method's name in this run.
        settings: its settings, defaults filled in.
        explained: the class whose score is explained.
        score: ``logit``, ``prob``, ``logprob`` or ``loss``.
        layer: the layer that was watched; none where the method needs none.
        notes: figures of the method about this map, such as ``completeness_gap``.
    """

    method: str | None = None
    settings: dict[str, object] = {}
    explained: str | None = None
    score: str | None = None
    layer: str | None = None
    notes: dict[str, Number] = {}


class Similarity(Result):
    """How alike two maps of one image are; none where a constant map leaves a metric undefined.

    Attributes:
        spearman: rank correlation of the signed maps, in [-1, 1].
        spearman_abs: of their absolute values.
        ssim: structural similarity of the signed maps, scaled to (v / max|v| + 1) / 2.
        ssim_abs: of the absolute maps, scaled to v / max|v|.
        hog: Pearson correlation of the HOG descriptors of the absolute maps; blind to signs.
    """

    spearman: Number = None
    spearman_abs: Number = None
    ssim: Number = None
    ssim_abs: Number = None
    hog: Number = None


class CompareRecord(AttackRecord):
    """One image under one attack, and what the explanations make of it.

    Attributes:
        explained_before: class explained on the clean image.
        explained_after: class explained on the adversarial image.
        similarity: explanation method to the similarity of its maps before and after.
        blank: methods whose map before or after holds no evidence.
    """

    explained_before: str | None = None
    explained_after: str | None = None
    similarity: dict[str, Similarity] = {}
    blank: tuple[str, ...] = ()


class ModelReport(Result):
    """The classifier of a run."""

    name: str
    architecture: str
    source: str
    fingerprint: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    folded: int
    notes: tuple[str, ...] = ()


class Timings(Result):
    """Wall-clock time of the run, after start-up.

    Attributes:
        seconds: of the last call.
        images_per_second: images of the last call over ``seconds``; none where every image was done before.
        images: images worked on in the last call.
    """

    seconds: float
    images_per_second: Number
    images: int


class Report(Result):
    """What is known about one run.

    Attributes:
        schema_version: of this file and of the records.
        command: the subcommand.
        command_line: as typed, of the last call.
        settings: what decides the results, defaults filled in, with the methods' own; a run with other settings is
            another run.
        model: the classifier.
        environment: versions, device, precision, threads.
        seed: of all randomness.
        block: rows that the network is shown at least (on a CPU) or exactly (elsewhere).
        inputs: number of images listed, and a digest of their paths.
        preflight: what looked wrong with the model or the data, one sentence each; empty where nothing did.
        summary: the figures of the run, by name.
        tables: name of a table to its path, relative to the run's folder; charts likewise.
        timings: how long it took.
        started: ISO 8601, UTC.
        finished: likewise; none while the run is under way, or where it was interrupted.
        exit_code: of the last call; likewise.
    """

    schema_version: int = SCHEMA_VERSION
    command: str
    command_line: str
    settings: dict[str, object]
    model: ModelReport | None
    environment: dict[str, object]
    seed: int
    block: int | None
    inputs: dict[str, object]
    preflight: tuple[str, ...] = ()
    summary: dict[str, object] = {}
    tables: dict[str, str] = {}
    figures: dict[str, str] = {}
    timings: Timings | None = None
    started: str
    finished: str | None = None
    exit_code: int | None = None
