"""One input of a run, as it was listed: a name that is the same wherever the run happens, and where the bytes are."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One picture that a run was asked about, not opened yet.

    Args:
        path: identity: relative to the root it was found under, with forward slashes, unique in the run, never
            absolute, never with ``..``, always valid UTF-8.
        location: where the bytes are, absolute.
        label: what came along about its class, from another command's record or with a built-in sample.
        named: the location as the user named it; by default ``location``.
    """

    path: str
    location: Path
    label: str | None = None
    named: str = ""

    @property
    def shown(self) -> str:
        """The location as named, for a record: bytes of a file name that are no UTF-8 are written as escapes."""
        return (self.named or str(self.location)).encode("utf-8", "backslashreplace").decode()


def is_identity(path: str) -> bool:
    """Tell whether a path stays below whatever folder it is put in: not absolute, canonical, without ``..``."""
    return "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))


def printable(name: str) -> str:
    """Keep a message on one line, and in UTF-8, whatever a file is called."""
    return name if name.isprintable() else ascii(name)
