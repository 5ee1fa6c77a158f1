"""What a run would do: ``--dry-run``."""

from dataclasses import dataclass

from advcli.engine.folder import RECORDS
from advcli.engine.run import Command
from advcli.engine.setup import Setup, prepare
from advcli.reports.ledger import read_lines


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Args:
        listed: images.
        done: of them, finished before.
        device: where it would compute.
        precision: of the search.
        block: rows the network is shown at least or exactly.
        batch_size: images in flight.
        model: name and architecture.
        first: where the first results would lie.
    """

    listed: int
    done: int
    device: str
    precision: str
    block: int
    batch_size: int
    model: str
    first: tuple[str, ...]


def plan(setup: Setup, command: Command) -> Plan:
    """Say what a run would do, without making anything on the disk.

    Raises:
        AdvcliError: as ``run`` would.
    """
    request, classifier, flying = prepare(setup, None)
    command.work(request, classifier.card, flying)  # which refuses what the model does not have
    done: set[str] = set()
    ledger = setup.out / RECORDS
    if ledger.exists() and not setup.overwrite:
        done = {line["path"] for line in read_lines(ledger) if line["status"] == "ok"}
    card = classifier.card
    left = [source for source in setup.sources if source.path not in done]
    return Plan(
        listed=len(setup.sources),
        done=len(setup.sources) - len(left),
        device=str(classifier.device),
        precision=setup.precision,
        block=classifier.block,
        batch_size=flying,
        model=f"{card.name} ({card.architecture}, {len(card.classes)} classes)",
        first=tuple(str(setup.out / "images" / source.path) + ".*" for source in left[:5]),
    )
