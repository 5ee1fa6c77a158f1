"""What every record holds, whatever the command; and what every record about an image holds."""

from typing import ClassVar, Literal

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
    """A result of one item under one case; commands add their figures.

    Attributes:
        long_tables: names of tables of the summary that the terminal only counts: they are for files and the page.
    """

    long_tables: ClassVar[frozenset[str]] = frozenset()

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
