"""What lies below a folder: each folder once, hidden ones left out, links followed without loops."""

import heapq
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

from advcli.images.reading import SUFFIXES

_ENDINGS = tuple(SUFFIXES)
Kind = Literal["file", "folder", "link"]  # a link is one to a folder


class Place(NamedTuple):
    """A file or folder.

    Args:
        location: to open it.
        real: absolute, with forward slashes, without a linked folder on the way: equal where two places are one.
        relative: to the root it was found under, with forward slashes; empty for the root itself.
    """

    location: str
    real: str
    relative: str


class Folder(NamedTuple):
    """A folder on the way down, and the files in it: none, where it cannot be read."""

    place: Place
    files: list[Place] | None


def real_path(path: Path) -> str:
    """Follow every link of a path, which need not exist; the root of the file system is the empty string."""
    return Path(os.path.realpath(path)).as_posix().rstrip("/")


def is_picture(name: str) -> bool:
    """Tell by the suffix whether a file that nobody named is worth opening."""
    return name.lower().endswith(_ENDINGS)


def pictures(root: Place) -> Iterator[Place]:
    """List the files below a folder that have a picture's suffix, in no particular order.

    A folder that cannot be read is listed itself: opening it like a picture tells why. So is a link to nowhere.
    """
    for place, files in folders(root):
        if files is None:
            yield place._replace(relative=place.relative or place.real.rpartition("/")[2])
        else:
            yield from (file for file in files if is_picture(file.relative))


def folders(root: Place) -> Iterator[Folder]:
    """Walk down from a folder, which comes first.

    Linked folders come last, and only those that were not met under their own name: so a link renames nothing and a
    loop ends. A link up to a folder that holds this one is left alone.
    """
    seen: set[str] = set()
    waiting = [root]
    links: list[tuple[str, Place]] = []  # a heap, so that the order on the disk decides nothing
    while waiting or links:
        place = waiting.pop() if waiting else heapq.heappop(links)[1]
        if place.real in seen:
            continue
        seen.add(place.real)
        try:
            found = children(place, "*")
        except OSError:
            yield Folder(place, None)
            continue
        waiting += [child for kind, child in found if kind == "folder"]
        for kind, child in found:
            if kind == "link" and not (_holds(child.real, place.real) or _holds(child.real, root.real)):
                heapq.heappush(links, (child.relative, child))
        yield Folder(place, [child for kind, child in found if kind == "file"])


def children(folder: Place, pattern: str) -> list[tuple[Kind, Place]]:
    """List what is in a folder under the names that match, without going down.

    Args:
        folder: where to look.
        pattern: for the names, case and all; hidden ones match only where it begins with a dot itself.

    Returns:
        Files, folders and links to folders, as they lie on the disk; pipes, sockets and devices are left out.

    Raises:
        OSError: the folder cannot be read.
    """
    hidden = pattern.startswith(".")
    found = []
    with os.scandir(folder.location) as entries:
        for entry in entries:
            if (hidden or not entry.name.startswith(".")) and (pattern == "*" or fnmatchcase(entry.name, pattern)):
                kind = _kind(entry)
                real = real_path(Path(entry.path)) if kind == "link" else f"{folder.real}/{entry.name}"
                found.append((kind, Place(entry.path, real, f"{folder.relative}/{entry.name}".lstrip("/"))))
    return [(kind, child) for kind, child in found if kind is not None]


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    if entry.is_symlink():
        try:
            mode = entry.stat().st_mode
        except OSError:  # it leads nowhere, round in a circle or where we may not look: opening it tells
            return "file"
        return "link" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else None
    return "folder" if entry.is_dir() else "file" if entry.is_file() else None


def _holds(outer: str, inner: str) -> bool:
    return f"{inner}/".startswith(f"{outer}/")
