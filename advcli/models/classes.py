"""Names of classes: read, made up, made distinct, and found again under the words that people and folders use."""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from advcli.errors import UsageError
from advcli.models.wordnet import index_of_id, is_imagenet

SEPARATORS = str.maketrans("", "", " -_")  # what does not matter when a word is held against a name
_NEGATIVE = re.compile(r"-\d+")
FORMS = "give one name a line, or JSON: a list, or a dictionary of index to name"


def from_file(path: Path) -> tuple[str, ...]:
    """Read names from text, one a line, or JSON: a list, or a dictionary of index to name or to [id, name].

    Args:
        path: the file; JSON is told by its first character, ``[`` or ``{``.

    Returns:
        Names in the order of the logits, each once: ImageNet's usual list has two cranes, of which one gets its index.

    Raises:
        UsageError: the file cannot be read, has another form, leaves an index out, or gives two classes one name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").rstrip()
    except (OSError, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "it is not UTF-8 text"
        raise UsageError(f"cannot read --classes {path}: {reason}", FORMS) from error
    names = _from_json(text, path) if text.lstrip()[:1] in ("[", "{") else [line.strip() for line in text.splitlines()]
    if not names:
        raise UsageError(f"--classes {path} is empty", FORMS)
    if "" in names:
        raise UsageError(f"--classes {path} has no name for class {names.index('')}", FORMS)
    if len(set(names)) < len(names) and not is_imagenet(names):  # whose usual list has two cranes and two maillots
        first = next(name for place, name in enumerate(names) if name in names[:place])
        places = [str(place) for place, name in enumerate(names) if name == first]
        raise UsageError(
            f"--classes {path} calls classes {', '.join(places[:5])} all {first!r}", "give each its own name"
        )
    return distinct(names)


def made_up(count: int) -> tuple[str, ...]:
    """Name classes by their index: "0", "1", ..."""
    return tuple(str(index) for index in range(count))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Give every name after its first use its index, so that each stands for one logit: "crane", "crane (517)"."""
    used: set[str] = set(names)
    seen: set[str] = set()
    result = []
    for index, name in enumerate(names):
        own = name
        while own in seen or (own != name and own in used):  # the second: a name further down that looks like ours
            own = f"{own} ({index})"
        seen.add(own)
        result.append(own)
    return tuple(result)


def match(word: str, classes: Sequence[str]) -> int | None:
    """Find the class that a word means.

    Args:
        word: as typed, or as a folder is called. Case, space, hyphen and underscore do not matter.
        classes: names in the order of the logits.

    Returns:
        The class's index: of the very name, else of the only name that differs in nothing that matters, else the index
        that the word spells, or that of ImageNet whose WordNet id it is. None where there is none of these.
    """
    if word in classes:
        return classes.index(word)
    if _NEGATIVE.fullmatch(word.strip()):  # hyphens do not matter in names, but -1 is not 1
        return None
    alike = [index for index, name in enumerate(classes) if _bare(name) == _bare(word)]
    if alike:
        return alike[0] if len(alike) == 1 else None
    if word.isascii() and word.isdigit() and len(word) < 10 and int(word) < len(classes):
        return int(word)
    return index_of_id(word, classes)


def resolve_class(word: str, classes: Sequence[str]) -> int:
    """Find the class that a user typed.

    Args:
        word: a name or an index, as in :func:`match`.
        classes: names in the order of the logits.

    Returns:
        The class's index.

    Raises:
        UsageError: the model has no such class; the hint names the closest.
    """
    index = match(word, classes)
    if index is not None:
        return index
    by_bare_name = {_bare(name): name for name in reversed(classes)}
    close = [by_bare_name[bare] for bare in difflib.get_close_matches(_bare(word), by_bare_name, n=3)]
    some = ", ".join(close or classes[:10]) + (", ..." if not close and len(classes) > 10 else "")
    hint = f"closest: {some}" if close else f"the classes are {some}"
    raise UsageError(f"the model has no class {word!r}", f"{hint}; or an index from 0 to {len(classes) - 1}")


def _bare(name: str) -> str:
    return name.casefold().translate(SEPARATORS)


def _from_json(text: str, path: Path) -> list[str]:
    try:
        loaded = json.loads(text)
        if isinstance(loaded, dict):
            by_index = {int(key): value for key, value in loaded.items()}
            loaded = [by_index[index] for index in range(len(loaded))]
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--classes {path} is not JSON of indices and names: {error}", FORMS) from error
    except KeyError as error:
        raise UsageError(f"--classes {path} has no name for class {error}", FORMS) from error
    # ImageNet's usual file gives each class its WordNet id too.
    names = [entry[1] if isinstance(entry, list) and len(entry) == 2 else entry for entry in loaded]
    strangers = [entry for entry in names if not isinstance(entry, str)]
    if strangers:
        raise UsageError(f"--classes {path} has a name that is no text: {strangers[0]!r}", FORMS)
    return [name.strip() for name in names]
