"""From the lines of records.jsonl to the figures, tables and charts of a run, in one pass and flat memory."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from advcli.engine.run import Summary
from advcli.figures.charts import accuracy_bars, passes_histogram, similarity_bars
from advcli.metrics.intervals import clopper_pearson, mean_interval

Line = Mapping[str, Any]


def rate(name: str, hits: int, count: int) -> dict[str, object]:
    """A share with its 95 % interval (Clopper-Pearson) as NAME, NAME_low and NAME_high; null of nothing."""
    if not count:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = clopper_pearson(hits, count)
    return {name: hits / count, f"{name}_low": low, f"{name}_high": high}


@dataclass
class Inputs:
    """Counts of images, whatever was done to them."""

    images: int = 0
    errors: int = 0
    labelled: int = 0
    right: int = 0

    def add(self, line: Line) -> None:
        """Count one image, by any of its records."""
        self.images += 1
        if line["status"] == "error":
            self.errors += 1
        elif line["label_source"] != "predicted":
            self.labelled += 1
            self.right += line["prediction"] == line["label"]

    def values(self) -> dict[str, object]:
        """The figures."""
        counts = {"images": self.images, "errors": self.errors, "labelled": self.labelled, "right": self.right}
        return {**counts, **rate("clean_accuracy", self.right, self.labelled)}


@dataclass
class AttackCounts:
    """Counts of one attack over the images that could be used."""

    usable: int = 0
    robust: int = 0
    robust_as_saved: int = 0
    attacked: int = 0
    successes: int = 0
    passes: Counter[int] = field(default_factory=Counter)
    l2: float = 0.0
    linf: float = 0.0

    def add(self, line: Line) -> None:
        """Count one record."""
        self.usable += 1
        self.robust += not line["fooled"]
        self.robust_as_saved += not line["fooled_as_saved"]
        if line["passes"]:
            success = line["fooled"] if line["target"] is None else line["hit_target"]
            self.attacked += 1
            self.passes[line["passes"]] += 1
            if success:
                self.successes += 1
                self.l2 += line["l2"]
                self.linf += line["linf"]

    def values(self) -> dict[str, object]:
        """The figures."""
        spent = sum(passes * count for passes, count in self.passes.items())
        return {
            **rate("robust_accuracy", self.robust, self.usable),
            **rate("robust_accuracy_as_saved", self.robust_as_saved, self.usable),
            **rate("attack_success_rate", self.successes, self.attacked),
            "attacked": self.attacked,
            "passes_per_image": spent / self.attacked if self.attacked else None,
            "mean_l2_of_successes": self.l2 / self.successes if self.successes else None,
            "mean_linf_of_successes": self.linf / self.successes if self.successes else None,
        }


def by_image(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Group the records of each image, which stand together in the ledger."""
    for _, group in groupby(lines, key=itemgetter("path")):
        yield list(group)


def worst_case(group: Sequence[Line]) -> Line:
    """The record of one image that a defender must reckon with: fooled if any attack fooled it, cost all costs."""
    if len(group) == 1:
        return group[0]
    fooling = [line for line in group if line["fooled"]] or group
    nearest = min(fooling, key=lambda line: line["l2"])
    return {
        **nearest,
        "fooled": any(line["fooled"] for line in group),
        "fooled_as_saved": any(line["fooled_as_saved"] for line in group),
        "hit_target": any(line["hit_target"] for line in group),
        "passes": sum(line["passes"] for line in group),
    }


def summarize_attacks(lines: Iterable[Line]) -> Summary:
    """Summarize attack records: rates of the run (the worst case over its methods), of each method, and by label."""
    inputs, overall = Inputs(), AttackCounts()
    methods: dict[str, AttackCounts] = {}
    labels: dict[str, AttackCounts] = {}
    confusions: Counter[tuple[str, str, str]] = Counter()
    for group in by_image(lines):
        inputs.add(group[0])
        if group[0]["status"] == "error":
            continue
        worst = worst_case(group)
        overall.add(worst)
        labels.setdefault(worst["label"], AttackCounts()).add(worst)
        for line in group:
            methods.setdefault(line["method"], AttackCounts()).add(line)
            confusions[line["method"], line["label"], line["adversarial_prediction"]] += 1
    values = {**inputs.values(), **overall.values()}
    per_method = {name: counts.values() for name, counts in methods.items()}
    if len(methods) > 1:
        values["methods"] = per_method
    return Summary(
        values=values,
        tables={
            "methods": [{"method": name, **row} for name, row in per_method.items()],
            "labels": [{"label": name, "images": one.usable, **one.values()} for name, one in sorted(labels.items())],
            "predictions": [
                {"method": method, "label": label, "adversarial_prediction": after, "images": count}
                for (method, label, after), count in sorted(confusions.items())
            ],
        },
        charts={"accuracy": accuracy_bars(values), "passes": passes_histogram(sorted(overall.passes.elements()))},
    )


METRICS = ("spearman", "spearman_abs", "ssim", "ssim_abs", "hog")


@dataclass
class Moments:
    """A mean in the making, by Welford's updates: no difference of large sums."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take in one value."""
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)

    def values(self) -> dict[str, object]:
        """Mean of similarities, its 95 % interval (Student's t, cut to [-1, 1]) and their number; null of nothing."""
        if not self.count:
            return {"mean": None, "low": None, "high": None, "images": 0}
        low, high = mean_interval(self.mean, self.squares, self.count)
        return {"mean": self.mean, "low": max(low, -1.0), "high": min(high, 1.0), "images": self.count}


def summarize_maps(lines: Iterable[Line]) -> Summary:
    """Summarize map records: accuracy, and for each method how many maps are blank and its own figures."""
    inputs = Inputs()
    counts: Counter[str] = Counter()
    blanks: Counter[str] = Counter()
    notes: defaultdict[tuple[str, str], Moments] = defaultdict(Moments)
    for group in by_image(lines):
        inputs.add(group[0])
        for line in group:
            if line["status"] == "error":
                continue
            counts[line["method"]] += 1
            blanks[line["method"]] += "blank" in line["flags"]
            for name, value in line["notes"].items():
                if value is not None:
                    notes[line["method"], name].add(value)
    rows: list[dict[str, object]] = []
    for method, count in counts.items():
        own = {f"mean_{name}": one.mean for (of, name), one in notes.items() if of == method}
        rows.append({"method": method, "images": count, "blank": blanks[method], **own})
    methods = {str(row["method"]): {key: value for key, value in row.items() if key != "method"} for row in rows}
    return Summary({**inputs.values(), "methods": methods}, {"methods": rows})


def summarize_comparisons(lines: Iterable[Line]) -> Summary:
    """Summarize compare records: the attacks, and how alike the maps of fooled images are before and after."""
    alike: defaultdict[tuple[str, str, str], Moments] = defaultdict(Moments)

    def watched() -> Iterator[Line]:
        for line in lines:
            yield line
            if line["status"] == "ok" and line["fooled_as_saved"] and line["passes"]:
                for method, metrics in line["similarity"].items():
                    for metric in METRICS:
                        if metrics[metric] is not None:
                            alike[line["method"], method, metric].add(metrics[metric])

    attacks = summarize_attacks(watched())
    rows: list[dict[str, object]] = [
        {"attack": attack, "method": method, "metric": metric, **one.values()}
        for (attack, method, metric), one in alike.items()
    ]
    nested: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for row in rows:
        figures = nested.setdefault(str(row["attack"]), {}).setdefault(str(row["method"]), {})
        figures[str(row["metric"])] = {key: row[key] for key in ("mean", "low", "high", "images")}
    similarity: object = next(iter(nested.values()), {}) if len(nested) < 2 else nested
    charts = dict(attacks.charts)
    for attack, methods in nested.items():
        bars = {method: {name: _bar(own) for name, own in metrics.items()} for method, metrics in methods.items()}
        charts["similarity" if len(nested) < 2 else f"similarity-{attack}"] = similarity_bars(bars)
    return Summary(
        values={**attacks.values, "similarity": similarity},
        tables={**attacks.tables, "similarity": rows},
        charts=charts,
    )


def _bar(own: Mapping[str, object]) -> tuple[float, float, float] | None:
    mean, low, high = own["mean"], own["low"], own["high"]
    if not (isinstance(mean, float) and isinstance(low, float) and isinstance(high, float)):
        return None
    return mean, low, high
