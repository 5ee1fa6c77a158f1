"""Made-up records, a ledger of them, the report to go with it, and a look into the page they end in."""

import json
from pathlib import Path

import pytest

from advcli.core.results import CompareRecord, ModelReport, Record, Report, Similarity, Timings


def made_up_record(path: str = "cat/0000.png", **fields: object) -> CompareRecord:
    """One record, complete but for what is given otherwise."""
    facts = {
        "source": f"/photos/{path}",
        "sha256": "0" * 64,
        "width": 32,
        "height": 32,
        "label": "cat",
        "label_source": "folder",
        "prediction": "cat",
        "probability": 0.98,
        "method": "pgd",
        "settings": {"steps": 40, "step_size": None},
        "norm": "linf",
        "eps": 8 / 255,
        "adversarial_prediction": "dog",
        "adversarial_probability": 0.71,
        "fooled": True,
        "fooled_as_saved": True,
        "passes": 3,
        "pulls": 2,
        "linf": 8 / 255,
        "l2": 0.87,
        "similarity": {"grad-cam": Similarity(spearman=0.3, ssim=0.5)},
        "files": {"original": f"images/{path}.original.png", "panel": f"images/{path}.panel.png"},
    }
    return CompareRecord(path=path, **{**facts, **fields})


def broken_record(path: str = "cat/broken.jpg", reason: str = "image file is truncated") -> CompareRecord:
    """The record of an image that could not be used."""
    return CompareRecord(path=path, source=f"/photos/{path}", status="error", error=reason)


def written_ledger(folder: Path, records: list[Record]) -> Path:
    """Write records.jsonl."""
    path = folder / "records.jsonl"
    path.write_text("".join(one.model_dump_json() + "\n" for one in records), encoding="utf-8")
    return path


def embedded_records(page: str) -> list[dict[str, object]]:
    """Read the records out of a page, as the page's script would."""
    block = page.partition('<script type="application/json" id="records">')[2].partition("</script>")[0]
    return json.loads(block)


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
    """Read the records out of a page."""
    return embedded_records


@pytest.fixture
def report() -> Report:
    """The report of a compare run."""
    return Report(
        command="compare",
        command_line="advcli compare photos/ --out demo",
        settings={"attack": {"methods": {"pgd": {"method": "pgd", "steps": 40}}, "target": "none"}, "after": "same"},
        model=ModelReport(
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
        environment={"device": "cpu"},
        seed=0,
        block=16,
        inputs={"listed": 508, "digest": "cd" * 32},
        summary={
            "images": 508,
            "clean_accuracy": 0.913,
            "clean_accuracy_low": 0.885,
            "clean_accuracy_high": 0.936,
            "similarity": {"grad-cam": {"spearman": {"mean": 0.31, "low": 0.25, "high": 0.37, "images": 508}}},
        },
        tables={"labels": "tables/labels.csv"},
        timings=Timings(seconds=38.2, images_per_second=13.3, images=508),
        started="2026-03-01T10:00:00+00:00",
        finished="2026-03-01T10:00:38+00:00",
        exit_code=0,
    )
