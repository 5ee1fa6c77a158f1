"""The grid of a run: ids of cases and names of files, made of their own values alone."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from advcli.runs.command import Case

LONGEST_ID = 80  # characters of a case's id; longer ones end in a digest
LONGEST_NAME = 200  # bytes of a file's name; file systems end at 255, and the ending must fit
LONGEST_PATH = 1000  # bytes of a path below the run's folder; systems end at 4096, the run's folder included
_PLAIN = re.compile(r"[^A-Za-z0-9._+=,~-]+")
_PICTURE = (".png", ".npy", ".svg", ".webp")


def case_id(parts: Iterable[object]) -> str:
    """Join the values of a case; none and empty ones are left out, ``8/255`` becomes ``8_255``.

    Args:
        parts: in the order method, settings, eps, target, defense, score, model.
    """
    words = [_PLAIN.sub("_", str(part)).strip(".-_") for part in parts if part is not None and str(part)]
    text = "-".join(word for word in words if word)
    return text if len(text) <= LONGEST_ID else f"{text[: LONGEST_ID - 13]}~{_digest(text, 12)}"


def numbered(cases: Sequence[Case]) -> list[Case]:
    """Tell apart the very same case once more: the second ``pgd-8_255`` becomes ``pgd-8_255-2``."""
    seen: dict[str, int] = {}
    told = []
    for case in cases:
        seen[case.id] = seen.get(case.id, 0) + 1
        told.append(case if seen[case.id] == 1 else replace(case, id=f"{case.id}-{seen[case.id]}"))
    return told


@lru_cache(maxsize=1 << 12)  # a ledger of many thousand records has a few cases
def natural(text: str | None) -> tuple[tuple[int, Fraction, str], ...]:
    """Make a sort key in which numbers inside words count as numbers: ``4_255`` before ``16_255``, 0.05 before 0.1."""
    parts = re.findall(r"[0-9]+(?:\.[0-9]+)?|[^0-9]+", text or "")
    return tuple((0, Fraction(part), part) if part[0] in "0123456789" else (1, Fraction(0), part) for part in parts)


def picture_path(item: str, ending: str) -> str:
    """Say where a picture about an item belongs, below the run's folder.

    The path is made of the item's identity and the ending alone: ``images/cat/0.png.pgd-8_255.adversarial.png``. A
    folder whose name ends like a picture of ours gets a digest, for a picture may have that very name; names and
    paths too long for a file system are cut and get one.

    Args:
        item: identity of the item, with forward slashes.
        ending: case and kind, such as ``pgd-8_255.adversarial.png``.
    """
    *folders, name = item.split("/")
    parts = [
        _cut(f"{folder}~{_digest(folder, 8)}" if folder.lower().endswith(_PICTURE) else folder) for folder in folders
    ]
    parts.append(f"{_cut(name)}.{ending}")
    path = "/".join(["images", *parts])
    if len(path.encode("utf-8", "surrogateescape")) > LONGEST_PATH:
        return f"images/~{_digest(item, 32)}.{ending}"
    return path


def is_renamed(item: str) -> bool:
    """Say whether the pictures of an item bear another name than the item."""
    return picture_path(item, "x") != f"images/{item}.x"


def _cut(name: str) -> str:
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= LONGEST_NAME - 60:
        return name
    return f"{data[: LONGEST_NAME - 80].decode('utf-8', 'ignore')}~{_digest(name, 16)}"


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:length]
