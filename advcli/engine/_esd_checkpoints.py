"""The checkpoints of an esd run: found by what the user named, in natural order, with the layers that they hold."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from advcli.errors import AdvcliError, NoInputError, UsageError
from advcli.models.loading import ModelRequest, custom, load_network, requests_for
from advcli.runs.classifiers import model_names
from advcli.runs.grid import natural
from advcli.runs.holding import digest_of
from advcli.spectra.reading import read_shapes
from advcli.spectra.weights import fingerprint_of, listed_layers

Kind = Literal["model", "course", "pair"]
SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".ckpt", ".bin")
_STATE = "checkpoint.pt"  # what a training of ours goes on from: the optimizer's state too


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights.

    Args:
        name: of the item.
        file: of the weights; none for a model by name.
        request: of a model by name; none for a file.
        epoch: number in the file's name; none without one.
        layers: names of its layers, in the order of its file.
        error: why it cannot be read; none where it can.
        fingerprint: of a model by name, which no file stands for.
    """

    name: str
    file: Path | None
    request: ModelRequest | None = None
    epoch: int | None = None
    layers: tuple[str, ...] = ()
    error: str | None = None
    fingerprint: str | None = None

    @property
    def source(self) -> str:
        """What to open, or what to name."""
        return str(self.file) if self.file is not None else self.request.name if self.request is not None else ""


@dataclass(frozen=True)
class Checkpoints:
    """What a run looks at.

    Args:
        kind: one ``model``, the ``course`` of a training, or a ``pair`` of models side by side.
        listed: the checkpoints, in natural order.
        folder: of the course; none otherwise.
    """

    kind: Kind
    listed: tuple[Checkpoint, ...]
    folder: Path | None = None

    @property
    def layers(self) -> list[str]:
        """Names of all layers, each once, in the order of the files."""
        return list(dict.fromkeys(name for one in self.listed for name in one.layers))

    @property
    def first(self) -> Checkpoint | None:
        """The checkpoint of a course that distances are measured from."""
        return next((one for one in self.listed if not one.error), None) if self.kind == "course" else None


def find_checkpoints(names: Sequence[str], weights: str | None, *, trust: bool) -> Checkpoints:
    """Find what the user named.

    Args:
        names: one model, file or folder; two models; or several files of one training.
        weights: of the models that are named, see ``ModelRequest``.
        trust: whether code inside files may run.

    Raises:
        NoInputError: a folder holds no checkpoint.
        UsageError: nothing takes the weights.
        ModelError: a model by name cannot be loaded.
    """
    folder = Path(names[0]).expanduser()
    if len(names) == 1 and weights is not None and folder.exists():
        raise UsageError(f"{names[0]} takes no --weights {weights}", "it is for models by name and FILE.py:FUNCTION")
    if len(names) == 1 and folder.is_dir():
        files = checkpoint_files(folder)
        if not files:
            raise NoInputError(f"{folder} holds no checkpoint", f"files that end in {', '.join(SUFFIXES)} are taken")
        root = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
        return Checkpoints(
            "course", tuple(_read(file, file.relative_to(root).as_posix(), trust=trust) for file in files), folder
        )
    kind: Kind = "model" if len(names) == 1 else "pair" if len(names) == 2 else "course"
    plain = [_final(name) for name in names]
    requests = requests_for(plain, ModelRequest(weights=weights, trust=trust))
    both = [_named(request, title) for request, title in zip(requests, model_names(requests), strict=True)]
    return Checkpoints(
        kind, tuple(both) if kind != "course" else tuple(sorted(both, key=lambda one: natural(one.name)))
    )


def checkpoint_files(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, in natural order: of a training run of ours those that it kept.

    Args:
        folder: of a training run, or of checkpoints.
    """
    inside = folder / "checkpoints"
    root = inside if inside.is_dir() else folder
    files = [path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    kept = [path for path in files if path.name != _STATE and not path.name.startswith(".")]
    if root is folder and (folder / "report.json").is_file():
        kept = [path for path in kept if path.parent == folder and path.name == "model.safetensors"]
    return sorted(kept, key=lambda path: natural(path.relative_to(root).as_posix()))


def _final(name: str) -> str:
    """Take the last checkpoint of a folder that stands beside another model."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return name
    if (folder / "model.safetensors").is_file():
        return str(folder / "model.safetensors")
    files = checkpoint_files(folder)
    if not files:
        raise NoInputError(f"{folder} holds no checkpoint", f"files that end in {', '.join(SUFFIXES)} are taken")
    return str(files[-1])


def _named(request: ModelRequest, title: str) -> Checkpoint:
    path = Path(request.name).expanduser()
    if path.is_file() and not custom.is_custom(request.name):
        return _read(path, title, trust=request.trust)
    state = state_of(request)
    layers = listed_layers({key: tuple(values.shape) for key, values in state.items()})
    return Checkpoint(title, None, request, layers=tuple(layers), fingerprint=fingerprint_of(state))


def state_of(request: ModelRequest) -> dict[str, Tensor]:
    """Load the state dict of a model by name."""
    if custom.is_custom(request.name):  # its input size does not matter here
        return dict(custom.build(request.name, request.weights, trust=request.trust).network.state_dict())
    return dict(load_network(request)[0].state_dict())


def _read(path: Path, title: str, *, trust: bool) -> Checkpoint:
    file = path.absolute()
    numbers = re.findall(r"\d+", path.stem.split(".")[0])
    epoch = int(numbers[-1]) if numbers and len(numbers[-1]) < 9 else None
    try:
        layers = listed_layers(read_shapes(file, trust=trust))
    except AdvcliError as error:
        return Checkpoint(title, file, epoch=epoch, error=error.message)
    if not layers:
        return Checkpoint(title, file, epoch=epoch, error="it holds no weight of two dimensions")
    return Checkpoint(title, file, epoch=epoch, layers=tuple(layers))


def sha256_of(path: Path | None) -> str | None:
    """Digest of a file; none where it cannot be read."""
    try:
        return digest_of(path) if path is not None else None
    except OSError:
        return None
