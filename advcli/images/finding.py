"""What the user named, to a list of pictures: files, folders, globs, stdin, or the built-in samples."""

import hashlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import has_magic
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from advcli.errors import NoInputError, UsageError
from advcli.images.globbing import expand
from advcli.images.piping import Handed, read_handed
from advcli.images.samples import samples
from advcli.images.sources import Source, printable
from advcli.images.walking import Place, pictures, real_path

__all__ = ["Source", "find"]

_HINT = "give pictures, folders, quoted globs, or - for paths on stdin; without any, the built-in samples are taken"


class _Listed(NamedTuple):
    """A picture on its way to the list; one that does not exist becomes an error record, if others do."""

    place: Place
    label: str | None = None
    exists: bool = True


def find(arguments: Sequence[str], *, stdin: BinaryIO | None = None, null_separated: bool = False) -> list[Source]:
    """List the pictures that a run is about; none is opened.

    * A file is listed whatever its suffix, also where it does not exist: it becomes an error record, the run goes on.
    * A folder stands for the pictures below it, hidden ones left out; see ``walking``.
    * A glob that no shell has expanded is expanded here; see ``globbing``. A file of that very name comes first.
    * ``-`` is what comes on stdin, paths or records; see ``piping``.
    * Without arguments, the built-in samples are listed.

    The identity of a picture is its path relative to the folder, or to the part of the glob before the first
    wildcard; of a file, its name; of a record, the identity it had. Where two files would get the same one, both get
    as many parent folders in front as make them different. A file that is named twice is listed once, under the
    longer of its names. Where names differ only in bytes that are no UTF-8 and read alike, each gets a digest behind
    it. So identities depend on what is named, never on the order.

    Args:
        arguments: as typed.
        stdin: what ``-`` reads; by default the process's own.
        null_separated: paths on stdin have NUL between them (``-0``).

    Returns:
        The pictures in the order of the arguments, those of one folder or glob sorted by identity.

    Raises:
        NoInputError: nothing that exists was named.
        UsageError: an empty argument, input on stdin that is neither paths nor records, or a deleted working directory.
    """
    if not arguments:
        return samples()
    listed: list[_Listed] = []
    blanks: list[str] = []  # what to say about arguments that gave nothing, should nothing else give something
    for argument in arguments:
        if argument == "-":
            found, blank = _piped(read_handed(stdin or sys.stdin.buffer, null_separated=null_separated))
        else:
            found, blank = _named(argument)
        listed += found
        blanks.append(blank)
    if not any(item.exists for item in listed):
        more = f"; {len(blanks) - 1} more gave no picture either" if len(blanks) > 1 else ""
        raise NoInputError(blanks[0] + more, _HINT)
    unique = _once(listed)
    here = _here()
    return [
        Source(path, here / item.place.location, item.label, str(Path(item.place.location)))
        for path, item in zip(_identities(unique), unique, strict=True)
    ]


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working directory does not exist any more", "change to a folder that does") from None


def _named(argument: str) -> tuple[list[_Listed], str]:
    """List what an argument stands for, and what to say where that is nothing."""
    if not argument:
        raise UsageError("one of the inputs is empty", "is a shell variable unset?")
    if argument.startswith("~") and _kind(Path(argument)) == "missing":
        argument = os.path.expanduser(argument)  # noqa: PTH111 - Path's own raises on a ~name that is no user
    if has_magic(argument) and _kind(Path(argument)) == "missing":
        return _sorted(expand(argument)), f"no picture matches {printable(argument)}"
    return _exactly(Handed(argument))


def _piped(handed: list[Handed]) -> tuple[list[_Listed], str]:
    listed: list[_Listed] = []
    blanks = []
    for one in handed:
        found, blank = _exactly(one)
        listed += found
        blanks.append(blank)
    if len(blanks) > 1:
        return listed, f"none of the {len(blanks)} pictures named on stdin exists; {blanks[0]}"
    return listed, blanks[0] if blanks else "stdin named no picture"


def _exactly(handed: Handed) -> tuple[list[_Listed], str]:
    """List a file, or the pictures below a folder, whose name means itself."""
    path, name = Path(handed.name), printable(handed.name)
    kind = _kind(path)
    if kind == "folder":
        return _sorted(pictures(Place(handed.name, real_path(path), ""))), f"{name} holds no pictures"
    if path.name in {"", ".."}:  # a way up from a folder that does not exist names nothing
        return [], f"{name} does not exist"
    place = Place(handed.name, f"{real_path(path.parent)}/{path.name}", handed.path or path.name)
    return [_Listed(place, handed.label, exists=kind != "missing")], f"{name} does not exist"


def _kind(path: Path) -> Literal["file", "folder", "missing"]:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:  # opening it tells why
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "file"


def _sorted(places: Iterable[Place]) -> list[_Listed]:
    return [_Listed(place) for place in sorted(places, key=lambda place: place.relative)]


def _once(listed: Iterable[_Listed]) -> list[_Listed]:
    """List each file once, at its first place, under the longest of its names, with the label that came along."""
    found: dict[str, _Listed] = {}
    for item in listed:
        known = found.get(item.place.real, item)
        longer = max(
            known.place, item.place, key=lambda place: (place.relative.count("/"), place.relative, place.location)
        )
        found[item.place.real] = _Listed(longer, known.label or item.label, item.exists)
    return list(found.values())


def _identities(listed: Sequence[_Listed]) -> list[str]:
    """Name each file apart from all others."""
    paths = [_utf8(item.place.relative) for item in listed]
    above: Counter[int] = Counter()  # parent folders in front, by place in the list
    while clashing := _repeated(paths):
        above.update(clashing)
        longer = {number: _with_parents(listed[number].place, above[number]) for number in clashing}
        if all(paths[number] == path for number, path in longer.items()):
            longer = {number: f"{paths[number]}~{_digest(listed[number].place.real)}" for number in clashing}
        for number, path in longer.items():
            paths[number] = path
    return paths


def _repeated(paths: Sequence[str]) -> list[int]:
    counts = Counter(paths)
    return [number for number, path in enumerate(paths) if counts[path] > 1]


def _with_parents(place: Place, above: int) -> str:
    parts = place.real.split("/")[1:]
    return _utf8("/".join(parts[-(place.relative.count("/") + 1 + above) :]))


def _digest(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _utf8(path: str) -> str:
    """Spell out bytes of a file name that are no UTF-8: a record could not be written otherwise."""
    return path.encode("utf-8", "backslashreplace").decode()


def outside(sources: Sequence[Source], out: Path) -> list[Source]:
    """Leave out what an earlier call wrote: a folder of results inside the folder of images is no input.

    Args:
        sources: that were found.
        out: folder of the results, absolute.

    Raises:
        NoInputError: all lie inside it.
    """
    inside = str(out.resolve()) + "/"
    found = [source for source in sources if not str(source.location.absolute()).startswith(inside)]
    if not found:
        raise NoInputError(f"all images lie in {out}, where the results go", "give another --out")
    return found
