"""The models and the images of a run, loaded before its grid is laid out; the same for every command over images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from advcli.core.report import Report
from advcli.models.classifier import Classifier
from advcli.runs.classifiers import classifier_for, default_batch_size, first_name, requests_for
from advcli.runs.command import Item, RunConfig
from advcli.runs.describe import model_report
from advcli.runs.images import ImageConfig, items_of
from advcli.runs.preflight import inspect


@dataclass(frozen=True)
class Loaded:
    """What a command over images begins with.

    Args:
        classifiers: of this call, the first model of the run first.
        first: name of the run's first model, which ids of cases leave out.
        items: the images, in listing order.
        batch_size: rows, or images, that are worked on together.
    """

    classifiers: Sequence[Classifier]
    first: str
    items: Sequence[Item]
    batch_size: int

    @classmethod
    def of(cls, images: ImageConfig, config: RunConfig, before: Report | None) -> "Loaded":
        """Load the models of a run.

        Args:
            images: and models.
            config: of the run.
            before: report of the run that is continued, or none.

        Raises:
            AdvcliError: a model cannot be loaded, or an option has no meaning for it.
        """
        requests = requests_for(images.models, images.sources, config, before)
        classifiers = [classifier_for(request) for request in requests]
        sizes = [default_batch_size(one.card.preprocessing.size, one.device) for one in classifiers]
        batch_size = config.batch_size or min(sizes)
        return cls(classifiers, first_name(classifiers, before), items_of(images.sources), batch_size)

    def facts(self, remarks: Sequence[str] = ()) -> dict[str, Any]:
        """What ``Prepared`` says of the models and images.

        Args:
            remarks: sentences of the command that stand behind what looks wrong with the models.
        """
        return {
            "items": self.items,
            "models": [model_report(classifier) for classifier in self.classifiers],
            "preflight": [*(text for one in self.classifiers for text in inspect(one)), *remarks],
            "environment": {"batch_size": self.batch_size},
            "block": self.classifiers[0].block,
        }
