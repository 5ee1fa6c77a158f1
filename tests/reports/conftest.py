"""Made-up records, a ledger of them, the report to go with it, and a look into the page they end in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from advcli.core.records import AnyRecord, CompareRecord, ErrorRecord, SimilarityRow, Top
from advcli.core.report import ModelReport, Report, Timings

AXES = {"model": "cifar10-resnet20", "method": "pgd", "settings": {"steps": 40, "step_size": None}, "norm": "linf"}
RATE = {"": 0.913, "_low": 0.885, "_high": 0.936}


def made_up_record(item: str = "cat/0000.png", case: str = "pgd-8_255", **fields: object) -> CompareRecord:
    """One record, complete but for what is given otherwise."""
    rows = tuple(
        SimilarityRow(explanation="grad-cam", score="logit", after="same", metric=metric, value=value)
        for metric, value in (("spearman", 0.3), ("ssim", 0.5))
    )
    facts = {
        "path": item,
        "source": f"/photos/{item}",
        "sha256": "0" * 64,
        "bytes": 2000,
        "width": 32,
        "height": 32,
        "label": "cat",
        "label_source": "folder",
        "prediction": "cat",
        "probability": 0.98,
        "top5": (Top(name="cat", probability=0.98), Top(name="dog", probability=0.01)),
        "eps": 8 / 255,
        "adversarial_prediction": "dog",
        "adversarial_probability": 0.71,
        "misclassified": True,
        "misclassified_as_saved": True,
        "implied": False,
        "forward_passes": 3,
        "backward_passes": 2,
        "verification_passes": 1,
        "linf": 8 / 255,
        "l2": 0.87,
        "similarity": rows,
        "files": {
            "original": f"images/{item}.original.png",
            "adversarial": f"images/{item}.{case}.adversarial.png",
            "panel": f"images/{item}.{case}.panel.png",
        },
        **AXES,
    }
    return CompareRecord(item=item, case=case, **{**facts, **fields})


def broken_record(item: str = "cat/broken.jpg", reason: str = "image file is truncated") -> ErrorRecord:
    """The record of an image that could not be used."""
    return ErrorRecord(item=item, path=item, source=f"/photos/{item}", error=reason)


def written_ledger(folder: Path, records: list[AnyRecord]) -> Path:
    """Write records.jsonl."""
    path = folder / "records.jsonl"
    path.write_text("".join(one.model_dump_json() + "\n" for one in records), encoding="utf-8")
    return path


def embedded_json(page: str, name: str = "records") -> list[dict[str, object]]:
    """Read the items out of a page, as the page's script would."""
    block = page.partition(f'<script type="application/json" id="{name}">')[2].partition("</script>")[0]
    return json.loads(block)


PEAK = """
import resource, sys
from pathlib import Path
from advcli.core.records import CompareRecord
from advcli.core.report import Report
from advcli.reports.page import render_page
from advcli.reports.tables import read_table, write_parquet

folder = Path(sys.argv[1])
report = Report.model_validate_json((folder / "report.json").read_text())
if sys.argv[2] == "page":
    render_page(report, CompareRecord, folder / "records.jsonl", {}, folder / "index.html")
else:
    write_parquet(folder / "records.jsonl", folder / "records.parquet", CompareRecord)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measured_growth(folder: Path, report: Report, what: str) -> int:
    """Kilobytes that the peak memory of a fresh process grows by, from 4,096 records to 20,480."""
    (folder / "report.json").write_text(report.model_dump_json())
    lines = [made_up_record(f"{number:06d}.png").model_dump_json() + "\n" for number in range(4096)]
    peaks = []
    for times in (1, 5):
        with (folder / "records.jsonl").open("w") as file:
            for _ in range(times):
                file.writelines(lines)
        done = subprocess.run([sys.executable, "-c", PEAK, folder, what], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    return peaks[1] - peaks[0]


@pytest.fixture
def growth():
    """Measure how memory grows with the number of records."""
    return measured_growth


@pytest.fixture
def record():
    """Make up a record."""
    return made_up_record


@pytest.fixture
def broken():
    """Make up the record of an image that could not be used."""
    return broken_record


@pytest.fixture
def write_ledger():
    """Write records.jsonl."""
    return written_ledger


@pytest.fixture
def embedded():
    """Read the items out of a page."""
    return embedded_json


@pytest.fixture
def report() -> Report:
    """The report of a compare run with two cases."""
    rates = {f"clean_accuracy{end}": value for end, value in RATE.items()}
    return Report(
        command="compare",
        command_line="advcli compare photos/ --out demo",
        settings={"labels": "auto", "after": "same"},
        axes={"method": ["pgd"], "eps": [4 / 255, 8 / 255]},
        models=(
            ModelReport(
                name="cifar10-resnet20",
                architecture="cifar-resnet20",
                source="zoo",
                fingerprint="ab" * 32,
                classes=("cat", "dog"),
                size=(32, 32),
                resize=32,
                interpolation="bilinear",
                mean=(0.5, 0.5, 0.5),
                std=(0.2, 0.2, 0.2),
                folded=19,
            ),
        ),
        environment={"device": "cpu"},
        seed=0,
        block=16,
        inputs={"listed": 508, "digest": "cd" * 32},
        skipped=("fgsm is given no target",),
        summary={
            "images": 508,
            **rates,
            "median_linf": 4 / 255,
            "cases": [
                {"case": "pgd-4_255", "method": "pgd", "eps": 4 / 255, **rates},
                {"case": "pgd-8_255", "method": "pgd", "eps": 8 / 255, **rates},
            ],
            "similarity": [{"case": "pgd-8_255", "method": "grad-cam", "mean": 0.31, "low": 0.25, "high": 0.37}],
        },
        tables={"labels": "tables/labels.csv"},
        timings=Timings(seconds=38.2, images_per_second=13.3, images=508),
        started="2026-03-01T10:00:00+00:00",
        finished="2026-03-01T10:00:38+00:00",
        exit_code=0,
    )
