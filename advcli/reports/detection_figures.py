"""Can the maps give an attack away: areas, rates and curves of detectors, and whether the maps beat the control."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from advcli.core.choices import Detection
from advcli.reports.bootstrap import FEWEST, holm
from advcli.reports.lines import read_lines
from advcli.reports.roc import Area, auroc, flagged, roc, threshold_at
from advcli.reports.summaries import Cases, rate

TOP_PROBABILITY, CHANGE = "top-probability", "change"  # the control, and its measure
_SIDES = ("clean", "adversarial", "noisy", "adaptive")
GRID = np.linspace(0, 1, 51)
Values = NDArray[np.float64]
Asked = tuple[str, str, str]
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one detector on the images of one case, higher for what looks attacked; (N,) each, NaN for none.

    Args:
        clean: of the clean images.
        adversarial: of the adversarial pictures.
        noisy: of as much random noise.
        adaptive: of adversarial pictures that were made to hide from this detector; none where there are none.
    """

    clean: Values
    adversarial: Values
    noisy: Values
    adaptive: Values | None = None

    def against(self, attack: Detection) -> "Scores | None":
        """Give the scores with the adversarial pictures of one kind of attack; none where there are none."""
        if attack == "plain":
            return self
        return None if self.adaptive is None else replace(self, adversarial=self.adaptive)


def read_scores(records: Path, items: pd.Index, cases: Sequence[str]) -> dict[str, dict[Asked, Scores]]:
    """Read what the probes found.

    Args:
        records: records.jsonl of ``CompareRecord``.
        items: images, each once.
        cases: ids of the attack cases that are wanted.

    Returns:
        Case to (probe, explanation, measure) to scores; a likeness counts as its negative.
    """
    found: dict[str, dict[Asked, Values]] = {}
    places = {item: place for place, item in enumerate(items)}
    for line in read_lines(records):
        case, place = str(line.get("case")), places.get(line["item"])
        for row in line.get("probes") or () if case in cases and place is not None else ():
            key = (row["probe"], row["explanation"], row["metric"])
            columns = found.setdefault(case, {}).setdefault(key, np.full((len(_SIDES), len(items)), np.nan, np.float32))
            sign = 1 if row["metric"] == CHANGE else -1
            for side, name in enumerate(_SIDES):
                if row.get(name) is not None:
                    columns[side, place] = sign * row[name]
    return {case: {key: _scores(one.astype(np.float64)) for key, one in mine.items()} for case, mine in found.items()}


def _scores(sides: Values) -> Scores:
    clean, adversarial, noisy, adaptive = sides
    return Scores(clean, adversarial, noisy, adaptive if np.isfinite(adaptive).any() else None)


def detection(
    scores: Mapping[str, Mapping[Asked, Scores]],
    cases: Cases,
    items: pd.Index,
    masks: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]],
) -> tuple[list[Row], list[Row], list[str]]:
    """Judge detectors.

    What has to be found is the adversarial pictures that are misclassified; clean images are all that were attacked.
    The threshold of each detector is chosen on one half of the images, such that it flags at most 5 % of the clean
    ones, and judged on the other half.

    Args:
        scores: see ``read_scores``.
        cases: id to axes of the attack.
        items: images.
        masks: case to (attacked, misclassified as saved), bool (N,) each.

    Returns:
        Rows of figures, one for each detector and kind of attack that it is held ``against``: the ``plain`` one, and
        the ``adaptive`` one that knows the detector, where there is one. They have ``auroc`` with its interval,
        ``auroc_against_noise`` (images with as much random noise in the place of the clean ones), ``tpr``, ``fpr`` and
        ``fpr_noisy`` (noise as large as the attack) at the threshold, ``gain`` over the area of the control, attacked
        in the same way, on the same images with interval, ``p_value`` and ``p_holm``. Rows of curves. And a sentence
        for each case, probe and kind of attack.
    """
    judged = half_of(items)
    rows: list[Row] = []
    curves: list[Row] = []
    for case in cases:
        told = scores.get(case, {})
        for probe, attack in product(dict.fromkeys(key[0] for key in told), get_args(Detection)):
            mine = {key: one.against(attack) for key, one in told.items() if key[0] == probe}
            detectors = {key: _masked(one, *masks[case]) for key, one in mine.items() if one is not None}
            head = {"case": case, "attack": cases[case].get("method"), "eps": cases[case].get("eps")}
            found = _judged({**head, "probe": probe, "against": attack}, detectors, judged)
            rows += found[0]
            curves += found[1]
    corrected = holm(np.array([np.nan if row["p_value"] is None else row["p_value"] for row in rows]))
    for row, p in zip(rows, corrected, strict=True):
        row["p_holm"] = None if np.isnan(p) else float(p)
    return rows, curves, list(_sentences(rows))


def _judged(head: Row, detectors: Mapping[Asked, Scores], judged: NDArray[np.bool_]) -> tuple[list[Row], list[Row]]:
    """Judge the detectors under one probe; give their rows and their curves."""
    rows: list[Row] = []
    curves: list[Row] = []
    control = detectors.get((head["probe"], TOP_PROBABILITY, CHANGE))
    base = None if control is None else auroc(control.adversarial, control.clean)
    for (_, method, metric), one in detectors.items():
        area = auroc(one.adversarial, one.clean)
        named = {**head, "method": method, "metric": metric}
        rows.append({**named, **_figures(one, area, judged), **_gain(area, base, method == TOP_PROBABILITY)})
        if area is not None:
            found = roc(one.adversarial, one.clean, GRID)
            curves += [
                {**named, "false_positive_rate": float(x), "true_positive_rate": float(y)}
                for x, y in zip(GRID, found, strict=True)
            ]
    return rows, curves


def half_of(items: pd.Index) -> NDArray[np.bool_]:
    """Mark the half of the images on which detectors are judged, by their names; the other half sets thresholds."""
    digests = [hashlib.sha256(str(item).encode("utf-8", "replace")).digest()[0] for item in items]
    return np.array([digest % 2 == 1 for digest in digests], dtype=bool)


def _masked(one: Scores, attacked: NDArray[np.bool_], lost: NDArray[np.bool_]) -> Scores:
    keep = [np.where(mask, values, np.nan) for mask, values in (
        (attacked, one.clean), (attacked & lost, one.adversarial), (attacked, one.noisy),
    )]  # fmt: skip
    return Scores(*keep)


def _figures(one: Scores, area: Area | None, judged: NDArray[np.bool_]) -> Row:
    threshold = threshold_at(one.clean[~judged])
    found: Row = {
        "adversarial": int(np.isfinite(one.adversarial).sum()),
        "clean": int(np.isfinite(one.clean).sum()),
        "auroc": None if area is None else area.value,
    }
    few = area is None or min(found["adversarial"], found["clean"]) < FEWEST
    low, high = (None, None) if few or area is None else area.interval()
    beside = auroc(one.adversarial, one.noisy)
    found |= {"auroc_low": low, "auroc_high": high, "auroc_against_noise": None if beside is None else beside.value}
    sides = {"tpr": one.adversarial, "fpr": one.clean, "fpr_noisy": one.noisy}
    for name, values in sides.items():
        counts = (0, 0) if threshold is None else flagged(values[judged], threshold)
        found |= rate(name, *counts)
    return found


def _gain(area: Area | None, base: Area | None, is_control: bool) -> Row:  # noqa: FBT001 - one caller, one meaning
    """Compare an area with the control's on the same images; nothing for the control itself."""
    nothing = dict.fromkeys(("gain", "gain_low", "gain_high", "p_value"))
    if area is None or base is None or is_control:
        return nothing
    gain, spread = area.value - base.value, float(np.sqrt(((area.influence - base.influence) ** 2).sum()))
    if not spread:
        return {**nothing, "gain": gain}
    half = float(norm.ppf(0.975)) * spread
    return {
        "gain": gain, "gain_low": gain - half, "gain_high": gain + half,
        "p_value": float(2 * norm.sf(abs(gain) / spread)),
    }  # fmt: skip


def _sentences(rows: Sequence[Row]) -> Iterator[str]:
    """Say for each case, probe and kind of attack whether the maps beat the control."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["case"], row["probe"], row["against"]), []).append(row)
    for (case, probe, attack), mine in groups.items():
        control = next((row for row in mine if row["method"] == TOP_PROBABILITY), None)
        maps = [row for row in mine if row["method"] != TOP_PROBABILITY and row["gain"] is not None]
        if control is None or control["auroc"] is None or not maps:
            continue
        best = max(maps, key=lambda row: row["auroc"])
        sure = best["p_holm"] is not None and best["p_holm"] < 0.05
        noise = best["auroc_against_noise"]
        verdict = "beat" if sure and best["gain"] > 0 else "do not beat"
        knowing = "" if attack == "plain" else " against attacks on the detector itself,"
        yield (
            f"{case}, {probe}:{knowing} the maps {verdict} the change of the top probability; best is "
            f"{best['method']} by {best['metric']} with an AUROC of {best['auroc']:.3f} against {control['auroc']:.3f}"
            + ("" if noise is None else f"; against images with as much random noise it has {noise:.3f}")
        )
