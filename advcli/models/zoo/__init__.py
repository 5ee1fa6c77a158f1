"""Networks that come with the package: weights as safetensors that describe themselves, each with its model card."""

from pathlib import Path

DEFAULT = "cifar10-resnet20"
FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Name the built-in networks, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def weights(name: str) -> Path:
    """Say where the weights of a built-in network lie."""
    return FOLDER / f"{name}.safetensors"
