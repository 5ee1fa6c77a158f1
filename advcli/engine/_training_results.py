"""The figures, tables and charts of a training, from its records and from the networks that it wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from advcli.engine._training_config import TrainConfig
from advcli.engine._training_data import Data, Part
from advcli.engine._training_drawings import tracking_charts, tracking_films, tracking_table
from advcli.engine._training_files import BEST, MODEL
from advcli.figures.confusion_chart import confusion_chart
from advcli.figures.mistake_sheet import Mistake, mistake_sheet
from advcli.figures.training_charts import accuracy_by_class_chart, balance_chart, curves_chart, norms_chart
from advcli.images.sources import printable
from advcli.models.classifier import Classifier
from advcli.models.devices import pick_device
from advcli.models.loading import ModelRequest, load_network
from advcli.reports.summaries import rate
from advcli.runs.command import RunConfig, Summary
from advcli.runs.describe import model_report
from advcli.spectra.phases import phases
from advcli.training.epochs import Epoch, best_epoch
from advcli.training.loop import Normalized
from advcli.training.measuring import answers
from advcli.training.spectral import layer_norms

HISTORY = (
    *("epoch", "loss", "train_accuracy", "validation_loss", "validation_accuracy"),
    *("validation_robust_loss", "validation_robust_accuracy", "test_loss", "test_accuracy"),
    *("learning_rate", "alpha", "over_trained"),
)
_MISTAKES = 24  # pictures of the contact sheet
_PART_OF = {"validation_accuracy": "validation", "validation_robust_accuracy": "validation", "test_accuracy": "test"}
Row = dict[str, Any]


@dataclass(frozen=True)
class Results:
    """Makes the figures.

    Args:
        run: of the run.
        data: the images.
        normalized: layers that spectral normalization holds.
        config: of the training.
    """

    run: RunConfig
    data: Data
    normalized: tuple[str, ...]
    config: TrainConfig

    def summarize(self, frame: pd.DataFrame, cases: Mapping[str, Mapping[str, object]]) -> Summary:
        """Turn the records of the epochs into the figures of the run."""
        history = _rows(frame)
        best = best_epoch([Epoch(**row) for row in history]).epoch
        last, chosen = history[-1], next(row for row in history if row["epoch"] == best)
        figures: Row = {"loss": last["loss"], "train_accuracy": last["train_accuracy"], **self._rates(last)}
        figures |= {"best_epoch": best, **{f"best_{name}": value for name, value in self._rates(chosen).items()}}
        values = {
            "epochs": len(history),
            "stopped_after": len(history) if len(history) < self.config.recipe.epochs else None,
            "errors": len(self.data.unusable),
            **{name: count for name, count in self.data.settings.items() if name.endswith("_images")},
            **figures,
            "cases": [{"case": case, **figures, "model": MODEL} for case in cases],
        }
        tables: dict[str, Sequence[Mapping[str, object]]] = {"history": _known(history)}
        if self.data.unusable:
            tables["unusable"] = [{"path": printable(path), "error": why} for path, why in self.data.unusable]
        charts = {"curves": curves_chart(history, best)}
        self._judge(tables, charts)
        self._norms(tables, charts)
        if self.config.track:
            tables["weights"] = tracking_table(self.run.out)
            charts |= tracking_charts(self.run.out)
            values["films"] = tracking_films(self.run.out, history)
            values["phases"] = _phases(history)
        return Summary(values, tables, charts, self._models)

    @cached_property
    def _last(self) -> Normalized:
        """The network as its file has it, on the device of the run."""
        network, card = load_network(ModelRequest(name=str(self.run.out / MODEL)))
        normalized = Normalized(network, card.preprocessing.mean, card.preprocessing.std).eval()
        return normalized.to(pick_device(self.run.device)).to(memory_format=torch.channels_last)

    @property
    def _models(self) -> list[Any]:
        """Describe the networks that were written."""
        found = []
        for name, file in (("model", MODEL), ("best", BEST)):
            if (self.run.out / file).is_file():
                network, card = load_network(ModelRequest(name=str(self.run.out / file)))
                found.append(model_report(Classifier(network, replace(card, name=name, source=file))))
        return found

    def _rates(self, row: Mapping[str, Any]) -> Row:
        """Accuracies of an epoch with their intervals; those of parts that there are."""
        parts = self.data.parts
        figures: Row = {}
        for name, part in _PART_OF.items():
            if row[name] is not None and part in parts:
                figures |= rate(name, round(row[name] * len(parts[part])), len(parts[part]))
            elif name == "test_accuracy":
                figures[name] = None
        return figures

    def _judge(self, tables: dict[str, Any], charts: dict[str, bytes]) -> None:
        """Look at what the network says of the images that it is judged by."""
        name, part = self.data.held_out
        said, labels = answers(self._last, part.examples, pick_device(self.run.device))
        probabilities, truth = said.numpy(), labels.numpy()
        predictions = probabilities.argmax(1)
        classes = self.data.classes
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (truth, predictions), 1)
        tables["classes"] = self._classes(counts, name)
        tables["confusion"] = [
            {"label": classes[row], "prediction": classes[column], "images": int(counts[row, column])}
            | {"share": float(counts[row, column] / counts[row].sum())}
            for row, column in np.argwhere(counts > 0)
        ]
        title = f"{name} images by class"
        charts["confusion-counts"] = confusion_chart(counts, classes, f"Confusion: {title}", rates=False)
        charts["confusion-rates"] = confusion_chart(counts, classes, f"Confusion: {title}, rates", rates=True)
        charts["class-accuracy"] = accuracy_by_class_chart(tables["classes"], name)
        charts["class-balance"] = balance_chart(tables["classes"])
        wrong = np.flatnonzero(predictions != truth)
        worst = wrong[np.argsort(probabilities[wrong, truth[wrong]], kind="stable")][:_MISTAKES]
        if len(worst):
            rows = [self._mistake(part, place, probabilities[place]) for place in worst]
            tables["mistakes"] = rows
            sheet = [
                Mistake(part.dataset.images[part.places[place]], row["label"], row["prediction"], row["probability"],
                        row["name"])
                for place, row in zip(worst, rows, strict=True)
            ]  # fmt: skip
            charts["worst-mistakes"] = mistake_sheet(sheet, f"Worst mistakes, {name} images")

    def _classes(self, counts: NDArray[np.int64], judged: str) -> list[Row]:
        """Images of each class in each part, and how many of those judged are right."""
        parts = self.data.parts
        known = {name: part.counts for name, part in parts.items()}
        rows = []
        for place, name in enumerate(self.data.classes):
            row: Row = {"class": name}
            row |= {
                part: int(known[part][place]) if part in known else None for part in ("train", "validation", "test")
            }
            row |= {"judged": judged, "right": int(counts[place, place]), "said": int(counts[:, place].sum())}
            rows.append(row | rate("accuracy", int(counts[place, place]), int(counts[place].sum())))
        return rows

    def _mistake(self, part: Part, place: int, probabilities: NDArray[np.float64]) -> Row:
        index = int(part.places[place])
        label, prediction = int(part.dataset.labels[index]), int(probabilities.argmax())
        return {
            "name": part.dataset.names[index] if part.dataset.names else str(index),
            "label": self.data.classes[label],
            "prediction": self.data.classes[prediction],
            "probability": float(probabilities[prediction]),
            "probability_of_label": float(probabilities[label]),
        }

    def _norms(self, tables: dict[str, Any], charts: dict[str, bytes]) -> None:
        """Measure the operator norms of all layers, where some are held."""
        if not self.normalized:
            return
        images, _ = self.data.train.examples.take(torch.arange(min(2, len(self.data.train))))
        network = self._last.cpu()
        probe = (images.float() / 255 - network.mean) / network.std
        rows = [
            {**asdict(one), "size": " x ".join(map(str, one.size)), "normalized": one.layer in self.normalized}
            for one in layer_norms(network.network, probe)
        ]
        tables["norms"] = rows
        charts["spectral-norms"] = norms_chart(rows, self.normalized)


def _rows(frame: pd.DataFrame) -> list[Row]:
    """The epochs as plain values, none for what is not known."""
    columns = frame[list(HISTORY)].sort_values("epoch").astype(object)
    rows = columns.where(columns.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _phases(history: Sequence[Row]) -> list[Row]:
    """Name the phases that the loss curves show, with the rule that decided each; none without validation images."""
    losses = [[row[name] for row in history] for name in ("loss", "validation_loss")]
    found = phases([row["epoch"] for row in history], losses[0], losses[1])
    return [{**asdict(one), "rule": one.rule} for one in found]


def _known(rows: Sequence[Row]) -> list[Row]:
    """Leave out the columns that nothing is known of."""
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    return [{name: row[name] for name in names} for row in rows]
