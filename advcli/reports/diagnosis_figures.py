"""Signs that an attack is weak, counted over a run: those of single images, and attacks that beat a stronger one."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from advcli.core.indicators import INDICATORS
from advcli.reports.summaries import Axes, Cases

Row = dict[str, object]
_ONE_STEP = ("fgsm",)
_BLACK_BOX = ("square", "one-pixel", "hopskipjump", "boundary")
_NOISE = ("gaussian-noise", "uniform-noise")
_OTHERS = ("jpeg", "blur", "brightness", "transfer")  # that search neither by gradients nor by answers
_ENSEMBLES = ("autoattack",)  # that hold attacks without gradients themselves
_BEATEN_BY = {"one-step-wins": _ONE_STEP, "black-box-wins": _BLACK_BOX, "transfer-wins": ("transfer",)}
_AS_GOOD = 0.8  # of the attack's successes


def diagnosis(rows: pd.DataFrame, cases: Cases) -> list[Row]:
    """Count each sign in each case.

    Args:
        rows: as ``attack_rows`` gives them, with ``indicators`` and ``noise`` (random noise sufficed; none where it was
            not tried).
        cases: id to axes.

    Returns:
        One row for each case and sign: ``images`` that have it, ``of`` how many, ``sign`` and ``advice`` in words.
    """
    attacked = {name: rows[(rows["case"] == name) & rows["attacked"]].set_index("item") for name in cases}
    found: list[Row] = []
    for name in cases:
        signs = list(_signs(name, attacked[name]))
        told = {row["indicator"] for row in signs}
        found += [*signs, *(row for row in _beaten(name, attacked, cases) if row["indicator"] not in told)]
    return found


def _signs(case: str, rows: pd.DataFrame) -> Iterator[Row]:
    withstood = rows[~rows["success"]]
    for name in INDICATORS:
        images = int(withstood["indicators"].map(lambda found, name=name: name in found).sum())
        if images:
            yield _row(case, name, images, len(withstood))
    tried = rows[rows["noise"].notna()]
    lost, fell = int(tried["success"].sum()), int(tried["noise"].eq(1.0).sum())
    if lost and fell >= _AS_GOOD * lost:
        yield _row(case, "noise-as-good", fell, len(tried))


def _beaten(case: str, attacked: Mapping[str, pd.DataFrame], cases: Cases) -> Iterator[Row]:
    """Hold a gradient attack against the weaker attacks of the run, on the same images."""
    axes = cases[case]
    if axes.get("method") in (*_ONE_STEP, *_BLACK_BOX, *_NOISE, *_OTHERS, *_ENSEMBLES) or axes.get("eps") is None:
        return
    for sign, methods in (*_BEATEN_BY.items(), ("noise-wins", _NOISE)):
        others = [name for name, other in cases.items() if other.get("method") in methods and _alike(axes, other)]
        images, of = _fallen(attacked[case], [attacked[name] for name in others])
        if images:
            yield _row(case, sign, images, of)


def _fallen(rows: pd.DataFrame, others: Sequence[pd.DataFrame]) -> tuple[int, int]:
    """Count the images that withstood an attack and fell to one of the others in this run."""
    withstood = set(rows.index[~rows["success"]])
    fallen = {item for other in others for item in other.index[other["success"]]}
    return len(withstood & fallen), len(withstood)


def _alike(axes: Axes, other: Axes) -> bool:
    return all(axes.get(key) == other.get(key) for key in ("model", "norm", "eps", "target_rule"))


def _row(case: str, name: str, images: int, of: int) -> Row:
    meaning = INDICATORS[name]
    return {
        "case": case, "indicator": name, "images": images, "of": of, "sign": meaning.sign, "advice": meaning.advice,
    }  # fmt: skip
