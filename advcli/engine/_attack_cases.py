"""The cases of an attack run: models, attacks, targets and eps."""

from collections.abc import Sequence

from advcli.models.classifier import Classifier
from advcli.runs.command import Case
from advcli.runs.grid import case_id, numbered
from advcli.search.config import AttackConfig, Cell

AXES = ("model", "method", "settings", "norm", "eps", "target_rule")


def attack_cases(
    config: AttackConfig, classifiers: Sequence[Classifier], first: str, surrogate: Classifier | None = None
) -> tuple[list[Case], list[str]]:
    """Lay out the grid: models, attacks, targets and eps.

    Args:
        config: what is attempted.
        classifiers: of this call.
        first: name of the run's first model, which ids leave out.
        surrogate: what ``transfer`` attacks.

    Returns:
        The cases, and a sentence for each combination that makes no sense.

    Raises:
        UsageError: an eps beyond its bound, or a target that a model does not have.
    """
    cases: list[Case] = []
    sentences: dict[str, None] = {}
    other = None if surrogate is None else (surrogate.card.name, surrogate.fingerprint[:16])
    for place, classifier in enumerate(classifiers):
        card = classifier.card
        cells, skipped = config.cells(card, other)
        sentences.update(dict.fromkeys(skipped))
        for order, cell in enumerate(cells):
            name = case_id([*cell.words, None if card.name == first else card.name])
            cases.append(Case(name, {"model": card.name, **cell.axes}, (place, order), (place, cell)))
    return numbered(cases), list(sentences)


def attack_remarks(cases: Sequence[Case], classifiers: Sequence[Classifier], config: AttackConfig) -> list[str]:
    """Say what a reader should know of the attacks on these networks, each thing once."""
    found: dict[str, None] = {}
    for place, classifier in enumerate(classifiers if config.eps_space == "normalized" else ()):
        found[_conversion(classifier, [case.payload[1] for case in cases if case.payload[0] == place])] = None
    for case in cases:
        place, cell = case.payload
        ask = getattr(cell.method.build(), "remark", None)
        said = ask(len(classifiers[place].card.classes)) if ask is not None else None
        if said:
            found[said] = None
    return list(found)


def _conversion(classifier: Classifier, cells: Sequence[Cell]) -> str:
    """Say what normalized radii are in pixel units, channel by channel."""
    card = classifier.card
    asked = {cell.eps.text: cell.eps.value / cell.unit for cell in cells if cell.eps is not None and cell.unit}
    each = [
        f"{text} is {', '.join(f'{radius * std:.4g}' for std in card.preprocessing.std)}"
        for text, radius in {"1": 1.0, **asked}.items()
    ]
    return (
        f"{card.name}: a normalized eps of {'; '.join(each)} of red, green and blue in pixels. The ball has these "
        "radii, and eps in the records is the largest of the three"
    )
