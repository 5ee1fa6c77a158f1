"""Maps that wait on the disk until all of a run are made, so that memory does not grow with their number."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from advcli.engine._maps import Explained
from advcli.runs.command import Case
from advcli.runs.images import Clean

_Key = tuple[str, str, str]


class MapStore:
    """Results of explanations in a file without a name, which is gone with the process however that ends.

    Args:
        folder: on whose disk the file lies; of each result it takes four bytes for each pixel of the map.
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  closed with the store
        self._places: dict[_Key, int] = {}

    def keep(self, one: Explained) -> None:
        """Keep a result."""
        facts = {name: value for name, value in vars(one).items() if name not in ("clean", "case", "values")}
        self._places[_key(one.clean, one.case)] = self._file.seek(0, 2)
        self._file.write(json.dumps({**facts, "shape": one.values.shape}).encode() + b"\n")
        self._file.write(np.ascontiguousarray(one.values).tobytes())

    def find(self, clean: Clean, case: Case) -> Explained | None:
        """Give a result back, the same to the bit; none where it was not kept, or the image has changed since."""
        place = self._places.get(_key(clean, case))
        if place is None:
            return None
        self._file.seek(place)
        facts = json.loads(self._file.readline())
        shape = tuple(facts.pop("shape"))
        values = np.frombuffer(bytearray(self._file.read(4 * int(np.prod(shape)))), np.float32).reshape(shape)
        return replace(Explained(clean, case, values=values, **facts), flags=tuple(facts["flags"]))

    def close(self) -> None:
        """Free the disk."""
        self._file.close()


def _key(clean: Clean, case: Case) -> _Key:
    return clean.image.item.identity, clean.image.sha256, case.id
