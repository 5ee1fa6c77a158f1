"""Records told of in listing order, whatever order they were finished in."""

from collections.abc import Mapping, Sequence

from advcli.reports.lines import as_record
from advcli.runs.command import Listener
from advcli.runs.ledger import Entry, Ledger


class Announcer:
    """Tells a listener of records in listing order, as soon as that order allows.

    Args:
        ledger: where records are read back.
        order: place of each item in the listing.
        cases: ids, in their order.
        listener: hears of every record.
    """

    def __init__(self, ledger: Ledger, order: Mapping[str, int], cases: Sequence[str], listener: Listener) -> None:
        self._ledger = ledger
        self._listener = listener
        self._cases = {case: place for place, case in enumerate(cases)}
        self._items = sorted(order, key=order.__getitem__)
        self._place = 0  # of the item that is to be told of next
        self._finished: dict[str, set[str | None]] = {}
        for item, case in ledger.done:  # what an earlier call finished is told of in its place
            if item in order and case in self._cases:
                self._finished.setdefault(item, set()).add(case)

    def __call__(self, entries: Sequence[Entry]) -> None:
        """Tell of records that are on disk now."""
        for entry in entries:
            self._finished.setdefault(entry.record.item, set()).add(entry.record.case)
        if entries:
            self._listener.finished(len(entries))
        while self._place < len(self._items) and self._complete(self._items[self._place]):
            item = self._items[self._place]
            for case in sorted(self._finished.pop(item, set()), key=lambda case: self._cases.get(case or "", -1)):
                record = as_record(self._ledger.line((item, case)))
                if record is not None:
                    self._listener.record(record)
            self._place += 1

    def _complete(self, item: str) -> bool:
        finished = self._finished.get(item, set())
        return None in finished or finished.issuperset(self._cases)
