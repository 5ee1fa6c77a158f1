"""The figures of a compare run: those of its attacks, and how alike the maps before and after are."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from advcli.core.similarities import HEADLINE
from advcli.reports.attack_figures import COLUMNS as ATTACK_COLUMNS
from advcli.reports.attack_figures import attack_rows, summarize_attacks
from advcli.reports.bootstrap import FEWEST, Means, holm, mean_intervals, p_values
from advcli.reports.detection_figures import detection, read_scores
from advcli.reports.similarity_values import Key, Values, read_values
from advcli.reports.summaries import Cases, Figures, usable

COLUMNS = ATTACK_COLUMNS
SIMILARITIES = "similarity.parquet"
TABLED = (*HEADLINE, "top_tenth_iou", "earth_mover")  # of the table by method
Row = dict[str, object]
Mask = NDArray[np.bool_]


def summarize_comparisons(
    frame: pd.DataFrame,
    cases: Cases,
    similarities: Path,
    *,
    floors: Sequence[Mapping[str, object]] = (),
    seed: int = 0,
    min_eps: bool = False,
    records: Path | None = None,
) -> Figures:
    """Summarize compare records.

    Args:
        frame: records with the columns ``COLUMNS``.
        cases: id to axes of the attack, in the order wanted.
        similarities: the table that ``write_long_similarity`` wrote of the same records.
        floors: rows of ``floors.csv``.
        seed: of the resamples of images.
        min_eps: see ``summarize_attacks``.
        records: records.jsonl, where probes were asked for; adds the tables ``detection`` and ``roc``.

    Returns:
        The figures of ``summarize_attacks``, and as values and tables: ``methods``, the mean of each explanation over
        all images and all cases of an attack; ``method_tests``, paired tests between explanations, corrected by Holm
        for their number; ``model_tests``, the same between models on the images that were attacked on both;
        ``similarity``, one row for each attack, explanation, score, class, outcome and measure, see
        ``_similarity``. Images that were at the goal before the attack are in no row.
    """
    figures = summarize_attacks(frame, cases, min_eps=min_eps)
    rows = usable(frame)
    rows = rows[rows["case"].astype(object).isin(list(cases)).to_numpy(dtype=bool)]
    judged = attack_rows(rows)
    items = pd.Index(judged["item"].unique())
    values = read_values(similarities, items, list(cases))
    outcomes = {case: _outcomes(judged, case, items) for case in values}
    means = {
        "methods": _methods(values, outcomes, cases, seed),
        "method_tests": _tests(values, outcomes, cases, seed),
        "model_tests": _model_tests(values, outcomes, cases, seed),
        "similarity": [
            row
            for case in cases
            if case in values
            for row in _similarity(case, cases[case], values[case], outcomes[case], floors, seed)
        ],
    }
    curves: list[Row] = []
    verdicts: list[str] = []
    if records is not None:
        masks = {case: (mine[None], mine[True]) for case, mine in outcomes.items()}
        means["detection"], curves, verdicts = detection(read_scores(records, items, list(values)), cases, items, masks)
    notes = [*verdicts, *(one for one in (_too_few(means["similarity"]), _undefined(means["similarity"])) if one)]
    told = {name: found for name, found in means.items() if found or name == "similarity"}
    return Figures(
        {**figures.values, **told, **({"notes": notes} if notes else {})},
        {**figures.tables, **told, **({"roc": curves} if curves else {})},
        figures.series,
    )


def _outcomes(judged: pd.DataFrame, case: str, items: pd.Index) -> dict[bool | None, Mask]:
    """Mark the attacked images (N,): all, those misclassified as saved, and those that are not."""
    mine = judged[judged["case"] == case]
    attacked, lost = (np.zeros(len(items), dtype=bool) for _ in range(2))
    places = items.get_indexer(pd.Index(mine["item"]))
    attacked[places] = mine["attacked"].to_numpy(dtype=bool)
    lost[places] = mine["lost_as_saved"].to_numpy(dtype=bool)
    return {None: attacked, True: attacked & lost, False: attacked & ~lost}


def _similarity(
    case: str,
    axes: Mapping[str, object],
    values: Values,
    outcomes: Mapping[bool | None, Mask],
    floors: Sequence[Mapping[str, object]],
    seed: int,
) -> Iterator[Row]:
    """Give the rows of one attack case.

    Each has ``misclassified`` (none for all attacked images, whatever came of them), ``n`` values that are defined and
    how many are ``undefined``, their ``mean`` with its bootstrap interval over images, and beside it what the measure
    gives for maps of unrelated images (``floor_shuffled``), for noise as large as the attack on the same images
    (``floor_noise``), and for two runs of the method on one image (``ceiling``).
    """
    known = {(row["model"], row["method"], row["score"], row["metric"], row["kind"]): row["mean"] for row in floors}
    head = {"case": case, "model": axes.get("model"), "attack": axes.get("method"), "eps": axes.get("eps")}
    head |= {"target": axes.get("target_rule")}
    for misclassified, mask in outcomes.items():
        if not mask.any():
            continue
        found = _means(values, mask, seed)
        noise = _mean_floor(values, mask)
        for column, (explanation, score, after, metric) in enumerate(values.keys):
            if not values.asked[mask, column].any():
                continue
            ends = {
                name: known.get((axes.get("model"), explanation, score, metric, kind))
                for name, kind in (("floor_shuffled", "shuffled"), ("ceiling", "rerun"))
            }
            yield {
                **head, "method": explanation, "score": score, "after": after, "misclassified": misclassified,
                "metric": metric, **found.row(column), "floor_shuffled": ends["floor_shuffled"],
                "floor_noise": noise[column], "ceiling": ends["ceiling"],
            }  # fmt: skip


def _means(values: Values, mask: Mask, seed: int) -> Means:
    return mean_intervals(values.value[mask].astype(np.float64), seed=seed)


def _mean_floor(values: Values, mask: Mask) -> list[float | None]:
    floor = values.floor[mask].astype(np.float64)
    count = np.isfinite(floor).sum(0)
    total = np.nansum(floor, axis=0)
    return [float(one / n) if n else None for one, n in zip(total, count, strict=True)]


def _attacks(values: Mapping[str, Values], cases: Cases) -> dict[tuple[str, ...], list[str]]:
    """Collect the cases of one attack on one model, whatever its eps and target."""
    found: dict[tuple[str, ...], list[str]] = {}
    for case in cases:
        if case in values:
            axes = cases[case]
            found.setdefault(tuple(str(axes.get(name)) for name in ("model", "method", "settings")), []).append(case)
    return found


def _over_cases(
    names: Sequence[str], values: Mapping[str, Values], outcomes: Mapping[str, Mapping[bool | None, Mask]]
) -> tuple[list[Key], NDArray[np.float64]]:
    """Average each image's values over cases: (N, C); an image counts once, however many cases it is attacked in."""
    keys = list(dict.fromkeys(key for name in names for key in values[name].keys))
    total, count = (np.zeros((len(outcomes[names[0]][None]), len(keys))) for _ in range(2))
    for name in names:
        columns = [keys.index(key) for key in values[name].keys]
        mine = np.where(outcomes[name][None][:, None], values[name].value, np.nan)
        total[:, columns] += np.nan_to_num(mine)
        count[:, columns] += np.isfinite(mine)
    with np.errstate(invalid="ignore"):
        return keys, total / count


def _methods(
    values: Mapping[str, Values],
    outcomes: Mapping[str, Mapping[bool | None, Mask]],
    cases: Cases,
    seed: int,
) -> list[Row]:
    rows: list[Row] = []
    for (model, attack, _), names in _attacks(values, cases).items():
        keys, averaged = _over_cases(names, values, outcomes)
        found = mean_intervals(averaged[np.isfinite(averaged).any(1)], seed=seed)
        for column, (explanation, score, after, metric) in enumerate(keys):
            if metric in TABLED:
                head = {"model": model, "attack": attack, "cases": len(names), "method": explanation}
                told = {name: one for name, one in found.row(column).items() if name != "undefined"}
                rows.append({**head, "score": score, "after": after, "metric": metric, **told})
    return rows


def _tests(
    values: Mapping[str, Values],
    outcomes: Mapping[str, Mapping[bool | None, Mask]],
    cases: Cases,
    seed: int,
) -> list[Row]:
    """Compare explanations in pairs on the same images, over all cases of an attack, by the three headline measures.

    ``mean`` is that of the first minus that of the second; ``p_value`` is Student's paired test, ``p_holm`` the same
    corrected for all tests of the run.
    """
    heads: list[Row] = []
    gaps: list[NDArray[np.float64]] = []
    for (model, attack, _), names in _attacks(values, cases).items():
        keys, averaged = _over_cases(names, values, outcomes)
        for one, other in combinations(range(len(keys)), 2):
            if keys[one][2:] == keys[other][2:] and keys[one][3] in HEADLINE:
                named = {"first": keys[one][0], "second": keys[other][0], "after": keys[one][2], "metric": keys[one][3]}
                heads.append({"model": model, "attack": attack, **named})
                gaps.append(averaged[:, one] - averaged[:, other])
    return _tested(heads, gaps, seed)


def _model_tests(
    values: Mapping[str, Values],
    outcomes: Mapping[str, Mapping[bool | None, Mask]],
    cases: Cases,
    seed: int,
) -> list[Row]:
    """Compare models in pairs on the images that were attacked on both, as ``_tests`` compares explanations."""
    attacks = {key: _over_cases(names, values, outcomes) for key, names in _attacks(values, cases).items()}
    heads: list[Row] = []
    gaps: list[NDArray[np.float64]] = []
    for (first, second), (mine, other) in zip(combinations(attacks, 2), combinations(attacks.values(), 2), strict=True):
        if first[0] == second[0] or first[1:] != second[1:]:
            continue
        for place, (explanation, score, after, metric) in enumerate(mine[0]):
            if metric in HEADLINE and mine[0][place] in other[0]:
                named = {"method": explanation, "score": score, "after": after, "metric": metric}
                heads.append({"attack": first[1], "first": first[0], "second": second[0], **named})
                gaps.append(mine[1][:, place] - other[1][:, other[0].index(mine[0][place])])
    return _tested(heads, gaps, seed)


def _tested(heads: Sequence[Row], gaps: Sequence[NDArray[np.float64]], seed: int) -> list[Row]:
    """Test paired differences (N,), NaN where there is no pair, and correct for their number."""
    if not heads:
        return []
    columns = np.stack(gaps, axis=1)
    means, found = mean_intervals(columns[np.isfinite(columns).any(1)], seed=seed), p_values(columns)
    rows: list[Row] = []
    for column, (head, p, corrected) in enumerate(zip(heads, found, holm(found), strict=True)):
        told = {name: value for name, value in means.row(column).items() if name != "undefined"}
        ends = {"p_value": p, "p_holm": corrected}
        rows.append({**head, **told, **{name: None if np.isnan(one) else float(one) for name, one in ends.items()}})
    return rows


def _too_few(rows: Sequence[Mapping[str, Any]]) -> str:
    few = [row for row in rows if 0 < row["n"] < FEWEST]
    if not few:
        return ""
    return (
        f"{len(few)} of {len(rows)} rows of similarity have no interval: their n is too small, down to "
        f"{min(row['n'] for row in few)}; intervals begin at {FEWEST} images"
    )


def _undefined(rows: Sequence[Mapping[str, Any]]) -> str:
    left = sum(row["undefined"] for row in rows if row["misclassified"] is None)
    count = sum(row["undefined"] + row["n"] for row in rows if row["misclassified"] is None)
    return f"{left} of {count} values are undefined: a map is constant, or too small for the measure" if left else ""
