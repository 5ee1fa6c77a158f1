"""The words and numbers of captions, the same in every picture."""

from advcli.core.records import ImageRecord


def said(name: str | None, probability: float | None) -> str:
    """Write what the classifier says of a picture: ``dog 0.71``."""
    return f"{name or 'nothing'}" if probability is None else f"{name} {probability:.2f}"


def truth(record: ImageRecord) -> str:
    """Write what the picture is: ``is cat``, or that nobody knows."""
    return "label unknown" if record.label_source in (None, "predicted") else f"is {record.label}"


def short(value: float) -> str:
    """Write a number with two digits that count, without a needless exponent: ``0.031``, ``1.2e-05``, ``240``."""
    return f"{value:.0f}" if 10 <= abs(value) < 10_000 else f"{value:.2g}"


def eps_text(eps: float, norm: str | None) -> str:
    """Write a radius as people type it: ``8/255`` in linf, a count in l0, else a plain number."""
    if norm == "l0":
        return f"{eps:g}"
    levels = 255 * eps
    if norm in ("linf", None) and abs(levels - round(levels, 2)) < 1e-4:
        return f"{round(levels, 2):g}/255"
    return f"{eps:.3g}"


def subtitle(record: ImageRecord, *more: str | None) -> str:
    """Write the second line of a panel: what the picture is, the model, and what else belongs there."""
    parts = (truth(record), record.model, *more)
    return "  ·  ".join(part for part in parts if part)
