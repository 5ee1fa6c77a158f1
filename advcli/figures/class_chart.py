"""How many images of each class are classified rightly, clean and attacked."""

from collections.abc import Mapping, Sequence

from advcli.figures.accuracy_chart import accuracy_chart

MOST_CLASSES = 30  # beyond, the table is read more easily


def class_chart(labels: Sequence[Mapping[str, object]], title: str = "Accuracy by class") -> bytes:
    """Draw clean and robust accuracy of each class as bars with 95 % intervals.

    Args:
        labels: rows of an attack's table ``labels``, of one model.
        title: of the chart.

    Returns:
        An SVG file: the classes from the top in the order of the rows.
    """
    kept = ("clean_accuracy", "robust_accuracy")
    rows = [
        {k: v for k, v in row.items() if k == "label" or (k.startswith(kept) and "_saved" not in k)} for row in labels
    ]
    return accuracy_chart(rows, "label", title)
