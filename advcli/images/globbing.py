"""A quoted glob, expanded by us: command lines are too short for 100,000 names, and ``**`` differs between shells."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path

from advcli.errors import UsageError
from advcli.images.walking import Place, children, folders, is_picture, pictures, real_path


def expand(pattern: str) -> Iterator[Place]:
    """List the pictures that a glob stands for.

    A folder that matches stands for all pictures below it, as it would as an argument. A file is listed where it has
    a picture's suffix, or where the pattern's last part has a dot: ``*`` means pictures, ``*.data`` means what it says.

    Args:
        pattern: with ``*``, ``?``, ``[...]``, and ``**`` for any number of folders; hidden names are matched only by
            a part that begins with a dot.

    Returns:
        Places relative to the fixed part of the pattern, before the first wildcard; one may come twice.

    Raises:
        UsageError: the pattern goes up again (``..``) after a wildcard.
    """
    parts = Path(os.path.expanduser(pattern)).parts  # noqa: PTH111 - Path's own raises on a ~name that is no user
    fixed = next(place for place, part in enumerate(parts) if has_magic(part))
    if ".." in parts[fixed:]:
        raise UsageError(
            f"{pattern!r} goes up after a wildcard", "write the folder without .., or without the wildcard"
        )
    root = Path(*parts[:fixed])
    for match in _matches(Place(str(root), real_path(root), ""), parts[fixed:]):
        if Path(match.location).is_dir():
            yield from pictures(match)
        elif is_picture(match.relative) or "." in parts[-1]:
            yield match


def _matches(place: Place, parts: Sequence[str]) -> Iterator[Place]:
    """Match part by part, so that nothing is read that cannot match."""
    if not parts:
        yield place
    elif parts[0] == "**":
        below = folders(place) if parts[1:] else []
        yield from (match for folder in below for match in _matches(folder.place, parts[1:]))
        if not parts[1:]:
            yield place
    else:
        with contextlib.suppress(OSError):  # not a folder, or not ours to read: nothing matches there, as in a shell
            for _, child in children(place, parts[0]):
                yield from _matches(child, parts[1:])
