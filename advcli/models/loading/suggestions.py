"""What to say about a name that nobody knows."""

import difflib
from collections.abc import Iterable


def closest(name: str, known: Iterable[str], prefix: str = "", shown_by: str = "advcli model list") -> str:
    """Write a hint that names the closest of the known names.

    Args:
        name: as typed.
        known: what could have been meant.
        prefix: what the user would have to type before each.
        shown_by: what lists them all.
    """
    close = difflib.get_close_matches(name, list(known), n=3)
    meant = f"did you mean {' or '.join(prefix + name for name in close)}? " if close else ""
    return f"{meant}{shown_by} shows the names"
