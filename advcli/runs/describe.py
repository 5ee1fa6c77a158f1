"""A run's circumstances, in the words of the report: the model, the machine, the time."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version

import torch

import advcli
from advcli.core.report import ModelReport
from advcli.models.classifier import Classifier

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "scikit-image", "scipy")


def environment(device: torch.device) -> dict[str, object]:
    """Describe the software and the machine."""
    described: dict[str, object] = {
        "advcli": advcli.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in _PACKAGES},
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        described["gpu"] = torch.cuda.get_device_name(device)
        described["cuda"] = torch.version.cuda
        described["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return described


def model_report(classifier: Classifier) -> ModelReport:
    """Describe a classifier."""
    card, how = classifier.card, classifier.card.preprocessing
    return ModelReport(
        name=card.name,
        architecture=card.architecture,
        source=card.source,
        fingerprint=classifier.fingerprint,
        classes=card.classes,
        size=how.size,
        resize=how.resize,
        interpolation=how.interpolation,
        mean=how.mean,
        std=how.std,
        folded=classifier.folded,
        drift=classifier.drift,
        certainty=classifier.certainty,
        notes=card.notes,
    )


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
