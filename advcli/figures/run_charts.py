"""The charts of a run, from its summary: which ones there are, and what they are called."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from advcli.figures.accuracy_chart import accuracy_chart
from advcli.figures.chart_style import Estimate
from advcli.figures.class_chart import MOST_CLASSES, class_chart
from advcli.figures.min_eps_chart import min_eps_chart
from advcli.figures.passes_chart import passes_chart
from advcli.figures.robustness_chart import curves, robustness_chart
from advcli.figures.similarity_chart import similarity_chart
from advcli.figures.strategy_chart import strategy_charts
from advcli.figures.target_chart import target_charts

Row = Mapping[str, object]
Series = Mapping[str, Mapping[str, NDArray[np.float64]]]
MOST_CHARTS = 6  # of one kind


def attack_charts(tables: Mapping[str, Sequence[Row]], series: Series) -> dict[str, bytes]:
    """Draw the charts of an attack or compare run.

    Args:
        tables: of the run: ``cases``, ``labels``, and where there are any ``similarity`` (of which the rows of
            misclassified pictures are drawn), ``targets`` and ``strategies``.
        series: ``passes`` and, of a run that looked for it, ``min_eps``; case to one number per attacked image.

    Returns:
        Name to SVG: ``accuracy``; ``robust-accuracy-NORM`` where a method has several eps; ``classes`` of one model
        with few classes; ``passes``; ``min-eps-CASE``; ``similarity-CASE``; ``strategies-ATTACK``;
        ``targets-FIGURE-ATTACK``.
    """
    cases, labels = tables["cases"], tables["labels"]
    charts = {"accuracy": accuracy_chart(cases)}
    charts |= {f"robust-accuracy-{norm}": robustness_chart(lines, norm) for norm, lines in curves(cases).items()}
    if 1 < len(labels) <= MOST_CLASSES and len({row.get("model") for row in labels}) == 1:
        charts["classes"] = class_chart(labels, "Accuracy by class" + (", worst case" if len(cases) > 1 else ""))
    if "passes" in series:
        charts["passes"] = passes_chart(series["passes"])
    norms = {str(row["case"]): row.get("norm") for row in cases}
    for case, values in list(series.get("min_eps", {}).items())[:MOST_CHARTS]:
        charts[f"min-eps-{case}"] = min_eps_chart(case, values, None if norms.get(case) is None else str(norms[case]))
    for case, means in list(_means(tables.get("similarity", ())).items())[:MOST_CHARTS]:
        charts[f"similarity-{case}"] = similarity_chart(case, means)
    charts |= dict(list(strategy_charts(tables.get("strategies", ())).items())[:MOST_CHARTS])
    charts |= dict(list(target_charts(tables.get("targets", ())).items())[:MOST_CHARTS])
    return charts


def _means(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Estimate | None]]]:
    """Sort the rows of misclassified pictures by case, explanation and metric."""
    found: dict[str, dict[str, dict[str, Estimate | None]]] = {}
    several = {key for key in ("score", "after") if len({row[key] for row in rows}) > 1}
    for row in rows:
        if row["misclassified"]:
            name = ", ".join(str(row[key]) for key in ("method", "score", "after") if key == "method" or key in several)
            found.setdefault(str(row["case"]), {}).setdefault(name, {})[str(row["metric"])] = _interval(row)
    return found


def _interval(row: Row) -> Estimate | None:
    mean, low, high = row["mean"], row["low"], row["high"]
    if not isinstance(mean, float):
        return None
    return mean, low if isinstance(low, float) else mean, high if isinstance(high, float) else mean
