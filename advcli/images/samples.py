"""The built-in samples: four of scikit-image's own pictures, which its wheel carries."""

from importlib.util import find_spec
from pathlib import Path

from advcli.errors import NoInputError
from advcli.images.sources import Source

# Identity, file in the wheel, label. A rocket is no airplane and a coffee cup is in no common list: those have none.
_SAMPLES = (
    ("cat.png", "chelsea.png", "cat"),
    ("horse.png", "horse.png", "horse"),
    ("rocket.jpg", "rocket.jpg", None),
    ("coffee.png", "coffee.png", None),
)


def samples() -> list[Source]:
    """List the built-in samples; nothing is ever downloaded.

    Returns:
        ``cat.png``, ``horse.png``, ``rocket.jpg``, ``coffee.png``; the first two with their label.

    Raises:
        NoInputError: scikit-image is missing, or came without its pictures.
    """
    # scikit-image is located, not imported: its data module takes 0.2 s and may go to the network for a missing file.
    package = find_spec("skimage")
    folders = package.submodule_search_locations if package else None
    folder = Path(next(iter(folders))) / "data" if folders else None
    if folder is None or not all((folder / file).is_file() for _, file, _ in _SAMPLES):
        raise NoInputError(
            "the built-in samples are missing from scikit-image", "give pictures or a folder of your own"
        )
    return [Source(path, folder / file, label) for path, file, label in _SAMPLES]
