"""What an attack comes to by its target: a matrix of class against class, and ways to choose a target side by side."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from advcli.reports.paired import difference, mean_difference
from advcli.reports.summaries import Cases, median, rate

MOST_STRATEGIES = 8
SUCCESS = "success"
COMPARED = {"forward_passes": "forward passes to success", "l2": "l2", "linf": "linf", "ssim": "SSIM"}
Row = dict[str, object]


def families(cases: Cases) -> dict[str, dict[str, str]]:
    """Collect the cases that differ in their target alone.

    Args:
        cases: id to axes.

    Returns:
        Name of a family (what the ids have in common) to id to target, where there are at least two.
    """
    groups: dict[str, dict[str, str]] = {}
    models = len({str(axes.get("model")) for axes in cases.values()})
    for name, axes in cases.items():
        key = str({axis: value for axis, value in axes.items() if axis != "target_rule"})
        groups.setdefault(key, {})[name] = str(axes.get("target_rule"))
    found: dict[str, dict[str, str]] = {}
    for members in groups.values():
        if len(members) > 1:
            name, model = _common(list(members)), cases[next(iter(members))].get("model")
            found[f"{name}, {model}" if models > 1 else name] = members
    return found


def target_matrix(rows: pd.DataFrame, cases: Cases) -> list[Row]:
    """Count what attacks toward one class after another come to, by the class of the image.

    Args:
        rows: as ``attack_rows`` gives them, with ``target``.
        cases: id to axes.

    Returns:
        One row for each family, source and target: ``attacked`` images, their success rate with its interval, forward
        and backward passes per image, and medians of the successes. Nothing for fewer than two classes as targets.
    """
    found: list[Row] = []
    for family, members in families(cases).items():
        toward = [name for name, target in members.items() if _is_class(rows, name, target)]
        if len(toward) < 2:
            continue
        mine = rows[rows["case"].isin(toward) & rows["attacked"]]
        for (source, target), group in mine.groupby(["label", "target"], sort=True):
            passes = {f"{kind}_per_image": float(group[kind].mean()) for kind in ("forward_passes", "backward_passes")}
            found.append(
                {
                    "attack": family, "source": source, "target": target, "attacked": len(group),
                    **rate("attack_success_rate", int(group["success"].sum()), len(group)), **passes,
                    **{f"median_{name}": median(group[name]) for name in ("l2", "linf", "ssim")},
                }
            )  # fmt: skip
    return found


def strategies(rows: pd.DataFrame, cases: Cases) -> tuple[list[Row], list[Row]]:
    """Hold ways to choose a target against one another, on the images that are attacked in all of these ways.

    Args:
        rows: as ``attack_rows`` gives them.
        cases: id to axes.

    Returns:
        One row for each family and way: paired ``images``, success rate with its interval, and medians of the
        successes. And one for each way beside the first and each figure: ``n`` pairs, their ``mean`` difference, way
        minus first, and its 95 % interval; passes and distances are compared on images where both succeed.
    """
    figures: list[Row] = []
    differences: list[Row] = []
    for family, members in families(cases).items():
        known = {target: _attacked(rows, name) for name, target in members.items()}
        ways = _ways(rows, members)
        if len(ways) < 2:
            continue
        both = sorted(set.intersection(*(set(known[way].index) for way in ways)))
        paired = {way: known[way].loc[both] for way in ways}
        figures += [_side(family, way, paired[way]) for way in ways]
        first = ways[0]
        for way in ways[1:]:
            differences += _differences(family, way, paired[way], first, paired[first])
    return figures, differences


def _ways(rows: pd.DataFrame, members: Mapping[str, str]) -> list[str]:
    """The targets that are compared: rules, and single classes where there are no more than two."""
    classes = [target for name, target in members.items() if _is_class(rows, name, target)]
    left_out = classes if len(classes) > 2 else []
    return [target for target in members.values() if target not in left_out][:MOST_STRATEGIES]


def _is_class(rows: pd.DataFrame, case: str, target: str) -> bool:
    """A case aims at one class for all images, and is called after it."""
    known = rows.loc[rows["case"] == case, "target"].dropna().unique()
    return len(known) == 1 and (known[0] == target or target.isdecimal())


def _attacked(rows: pd.DataFrame, case: str) -> pd.DataFrame:
    return rows[(rows["case"] == case) & rows["attacked"]].set_index("item")


def _side(family: str, way: str, rows: pd.DataFrame) -> Row:
    return {
        "attack": family, "target": way, "images": len(rows),
        **rate("attack_success_rate", int(rows["success"].sum()), len(rows)),
        **{f"median_{name}": median(rows.loc[rows["success"], name]) for name in COMPARED},
    }  # fmt: skip


def _differences(family: str, way: str, rows: pd.DataFrame, first: str, base: pd.DataFrame) -> Iterator[Row]:
    names: Row = {"attack": family, "target": way, "against": first}
    one, other = rows["success"].to_numpy(dtype=bool), base["success"].to_numpy(dtype=bool)
    estimate = difference(int((one & ~other).sum()), int((other & ~one).sum()), len(one))
    yield {**names, "metric": SUCCESS, "n": len(one), **dict(zip(("mean", "low", "high"), estimate, strict=True))}
    for name in COMPARED:
        gap = (rows[name] - base[name]).to_numpy(dtype=np.float64)[one & other]
        gap = np.round(gap[np.isfinite(gap)], 7)  # what lies below is float32's rounding
        bounds = mean_difference(gap)
        yield {**names, "metric": name, "n": len(gap), **dict(zip(("mean", "low", "high"), bounds, strict=True))}


def _common(names: Sequence[str]) -> str:
    """What ids begin with alike, in whole words."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    prefix = "".join(letters[0] for letters in alike)
    whole = all(name == prefix or name[len(prefix) :].startswith("-") for name in names)
    return (prefix if whole else prefix.rpartition("-")[0]).strip("-") or names[0]
