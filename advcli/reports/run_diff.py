"""Two runs over the same images, held against one another by their records: who is right where, and by how much."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from advcli.errors import UsageError
from advcli.reports.bootstrap import holm
from advcli.reports.lines import read_lines
from advcli.reports.paired import difference, mcnemar
from advcli.reports.summaries import LABELLED, rate

CLEAN = "clean"  # what stands for the images before anything is done to them
AFTER = ("adversarial_prediction", "prediction_after")  # what a network says of a changed picture, by command
LOST = "misclassified_as_saved"
Row = dict[str, object]
Key = tuple[str, str]


@dataclass(frozen=True)
class Outcome:
    """What one run knows of one image under one case.

    Args:
        right: the image, or what the case made of it, is classified as its label; without a label: the prediction is
            what it was on the clean image.
        label: that it is held against; none where it was only the network's own prediction.
        said: the class that the network says.
        picture: path of the changed picture below the run's folder, if there is one.
        sha256: of the image.
    """

    right: bool
    label: str | None
    said: str | None
    picture: str | None
    sha256: str | None


@dataclass(frozen=True)
class RunDiff:
    """What two runs say of the same images.

    Args:
        cases: one row for each case that both have, ``clean`` first: ``images`` in both, ``accuracy_a`` and
            ``accuracy_b`` with their exact intervals, their ``difference`` (B minus A) with its interval, images that
            are right in A alone and in B alone, McNemar's exact ``p_value`` and ``p_holm``, corrected by Holm for the
            number of cases.
        changes: images that are right in one run alone, case by case.
        left_out: what could not be compared, one sentence each.
    """

    cases: tuple[Row, ...]
    changes: tuple[Row, ...]
    left_out: tuple[str, ...]


def diff_runs(first: Path, second: Path) -> RunDiff:
    """Compare two runs by their records, in memory that holds a line of facts for each image and case.

    Args:
        first: folder of run A.
        second: folder of run B.

    Raises:
        UsageError: a run has no records of images, or they have no image in common.
    """
    one, other = _outcomes(first), _outcomes(second)
    names, left_out = _common(one, other)
    rows: list[Row] = []
    changes: list[Row] = []
    for a, b in names:
        both = [item for item in one[a] if item in other[b]]
        paired = [item for item in both if _same(one[a][item], other[b][item])]
        name = a if a == b else f"{a} / {b}"
        if len(paired) < len(both):
            left_out.append(f"{name}: {len(both) - len(paired)} images differ in content or label between the runs")
        if not paired:
            continue
        rows.append({"case": name, **_figures(one[a], other[b], paired)})
        changes += _changes(name, one[a], other[b], paired)
    if not rows:
        raise UsageError(
            f"{first} and {second} have no image in common",
            "compare runs over the same folder: images are matched by their paths and their content",
        )
    corrected = holm(np.array([row["p_value"] for row in rows], dtype=np.float64))
    told = tuple({**row, "p_holm": float(p)} for row, p in zip(rows, corrected, strict=True))
    return RunDiff(told, tuple(changes), tuple(left_out))


def _outcomes(folder: Path) -> dict[str, dict[str, Outcome]]:
    """Read a run: case to image to outcome, ``clean`` among the cases."""
    found: dict[str, dict[str, Outcome]] = {}
    for line in read_lines(folder / "records.jsonl"):
        if line.get("status") == "error" or "prediction" not in line:
            continue
        files = line.get("files") or {}
        label = line.get("label") if line.get("label_source") in LABELLED else None
        facts = {"label": label, "sha256": line.get("sha256")}
        clean = Outcome(label is None or line["prediction"] == label, said=line["prediction"], picture=None, **facts)
        found.setdefault(_clean_name(line), {})[line["item"]] = clean
        after = next((line[name] for name in AFTER if line.get(name) is not None), None)
        if after is not None and line.get("status") == "ok":
            right = clean.right and (not line[LOST] if LOST in line else after == line["prediction"])
            picture = next((found_at for kind in ("adversarial", "masked") if (found_at := files.get(kind))), None)
            outcome = Outcome(right, said=after, picture=picture, **facts)
            found.setdefault(str(line["case"]), {})[line["item"]] = outcome
    if not found:
        raise UsageError(
            f"{folder} holds no records of images", "compare folders of attack, compare, explain, saliency or mask"
        )
    return found


def _clean_name(line: Mapping[str, Any]) -> str:
    """Name the clean images as the first model of the run sees them; those of others carry the model's name."""
    case, model = str(line.get("case")), line.get("model")
    return f"{CLEAN}-{model}" if model and case.endswith(f"-{model}") else CLEAN


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Match cases by their ids; of runs with one case each, these, whatever they are called."""
    names = [(name, name) for name in sorted(one, key=lambda name: (name != CLEAN, name)) if name in other]
    mine, theirs = ([name for name in run if not name.startswith(CLEAN)] for run in (one, other))
    matched = {name for name, _ in names}
    if len(mine) == len(theirs) == 1 and mine != theirs:
        names.append((mine[0], theirs[0]))
        matched |= {mine[0], theirs[0]}
    left = [
        f"only run {run} has the case {name}"
        for run, cases in (("A", one), ("B", other))
        for name in sorted(cases)
        if name not in matched
    ]
    return names, left


def _same(one: Outcome, other: Outcome) -> bool:
    return one.sha256 == other.sha256 and one.label == other.label


def _figures(one: Mapping[str, Outcome], other: Mapping[str, Outcome], items: Sequence[str]) -> Row:
    a, b = (np.array([run[item].right for item in items]) for run in (one, other))
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    middle, low, high = difference(only_b, only_a, len(items))
    return {
        "images": len(items),
        **rate("accuracy_a", int(a.sum()), len(items)),
        **rate("accuracy_b", int(b.sum()), len(items)),
        "difference": middle,
        "difference_low": low,
        "difference_high": high,
        "both": int((a & b).sum()),
        "only_a": only_a,
        "only_b": only_b,
        "neither": int((~a & ~b).sum()),
        "p_value": mcnemar(only_a, only_b),
    }


def _changes(
    case: str, one: Mapping[str, Outcome], other: Mapping[str, Outcome], items: Sequence[str]
) -> Iterator[Row]:
    for item in items:
        a, b = one[item], other[item]
        if a.right != b.right:
            yield {
                "case": case, "item": item, "label": a.label, "right_in": "A" if a.right else "B",
                "said_a": a.said, "said_b": b.said, "picture_a": a.picture, "picture_b": b.picture,
            }  # fmt: skip
