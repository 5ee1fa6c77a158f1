"""What a finished run says on the terminal: a table for people, JSON for programs, paths for pipes."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advcli.cli.options import Common
from advcli.cli.streams import data
from advcli.cli.tables import print_table

if TYPE_CHECKING:
    from advcli.core.results import Report
    from advcli.engine.plan import Plan

_FEW = 16  # images that are listed one by one
_RATES = ("clean_accuracy", "robust_accuracy", "robust_accuracy_as_saved", "attack_success_rate")
_FIGURES = ("passes_per_image", "mean_l2_of_successes", "mean_linf_of_successes")


def show(report: "Report", out: Path, common: Common) -> None:
    """Print a run in the form that was asked for."""
    if common.json:
        data().write(report.model_dump_json(indent=2) + "\n")
    elif common.quiet:
        for line in _lines(out):
            for file in line["files"].values():
                data().write(f"{out / file}\n")
    elif not common.jsonl:
        _show_images(out, report)
        _show_figures(report)
        _show_similarity(report.summary.get("similarity"))
        seconds = f"{report.timings.seconds:.1f} s" if report.timings else ""
        data().write(f"{report.summary['images']} images in {seconds}; look at {out / 'index.html'}\n")


def show_plan(plan: "Plan", common: Common) -> None:
    """Print what a run would do."""
    if common.json:
        data().write(json.dumps(asdict(plan)) + "\n")
        return
    data().write(f"{plan.listed} images, {plan.done} of them done, {plan.listed - plan.done} to do\n")
    data().write(
        f"model {plan.model} on {plan.device}, {plan.precision}, block {plan.block}, {plan.batch_size} in flight\n"
    )
    for path in plan.first:
        data().write(f"would write {path}\n")


def complain(refused: Sequence[tuple[str, str]], out: Path) -> None:
    """Name the images that could not be used."""
    if not refused:
        return
    path, reason = refused[0]
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    print(f"error: {path} could not be used: {reason}{more}", file=sys.stderr)
    print(f'hint: the rest is done; see the records with "status":"error" in {out / "records.jsonl"}', file=sys.stderr)


def _lines(out: Path) -> Iterator[dict[str, Any]]:
    from advcli.reports.ledger import read_lines

    return read_lines(out / "records.jsonl")


def _show_images(out: Path, report: "Report") -> None:
    if int(str(report.summary["images"])) > _FEW:
        return
    rows = [_row(line) for line in _lines(out)]
    telling = [name for name in rows[0] if any(row.get(name) for row in rows)]  # a column without a word is left out
    print_table(telling, [[row.get(name, "") for name in telling] for row in rows])


def _row(line: Mapping[str, Any]) -> dict[str, str]:
    """One record as a line for people; the columns are those that the command has."""
    row = {"image": line["path"], "is": line["label"] if line.get("label_source") != "predicted" else ""}
    row["taken for"] = line["error"] if line["status"] == "error" else _said(line["prediction"], line["probability"])
    if "adversarial_prediction" in line:
        row |= {"attack": line["method"] or "", "target": line["target"] or ""}
        row["then for"] = _said(line["adversarial_prediction"], line["adversarial_probability"])
        row["linf"] = "" if line["linf"] is None else f"{255 * line['linf']:.0f}/255"
        row["l2"] = "" if line["l2"] is None else f"{line['l2']:.2f}"
    else:
        row |= {"method": line["method"] or "", "explained": line["explained"] or "", "layer": line["layer"] or ""}
    row["notes"] = ", ".join(line["flags"])
    return {name: text or "" for name, text in row.items()}


def _said(name: str | None, probability: float | None) -> str:
    return "" if name is None else f"{name} {probability or 0:.2f}"


def _show_figures(report: "Report") -> None:
    summary: Mapping[str, Any] = report.summary
    methods = summary.get("methods") or {}
    several: dict[str, Mapping[str, Any]] = {"": summary}
    if methods and "robust_accuracy" in summary:
        several = {"worst case": summary, **{name: {**summary, **figures} for name, figures in methods.items()}}
    rows = [
        [name.replace("_", " "), *(_rate(figures, name) for figures in several.values())]
        for name in _RATES
        if summary.get(name) is not None
    ]
    rows += [
        [name.replace("_", " "), *(_number(figures.get(name)) for figures in several.values())]
        for name in _FIGURES
        if summary.get(name) is not None
    ]
    if rows:
        print_table(["", *several], rows)


def _rate(figures: Mapping[str, Any], name: str) -> str:
    if figures.get(name) is None:
        return "-"
    return f"{100 * figures[name]:.1f} %  [{100 * figures[f'{name}_low']:.1f}, {100 * figures[f'{name}_high']:.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _show_similarity(similarity: Any) -> None:
    """Print how alike the maps are before and after: one row per explanation, one column per metric."""
    if not similarity:
        return
    first = next(iter(similarity.values()))
    nested = similarity if "mean" not in next(iter(first.values()), {}) else {"": similarity}
    for attack, methods in nested.items():
        metrics = list(next(iter(methods.values())))
        rows = [
            [method, *(_number((own.get(metric) or {}).get("mean")) for metric in metrics)]
            for method, own in methods.items()
        ]
        title = "maps before and after, 1: the same" + (f" ({attack})" if attack else "")
        print_table(["", *(metric.replace("_", " ") for metric in metrics)], rows, title=title)
