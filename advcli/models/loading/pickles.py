"""Files of torch.save, read without running what is in them; what would have to run is named and refused."""

import pickle
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from advcli.errors import ModelError

# Where training scripts keep the weights, the averaged ones last: who saved both reports the plain ones by default.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "ema", "model_ema")
COUNTER = "n_averaged"  # AveragedModel's own, beside the weights that it wraps
DEEPEST = 5  # wrappers round a state dict; a dictionary can contain itself
SHOWN = 5  # names in an error message, before "and N more"
TRUST = (
    "if you trust whoever made the file, add --trust-model; safer: save network.state_dict(), and load it with --arch"
)


def load_pickle(path: Path, *, trust: bool = False) -> object:
    """Read what ``torch.save`` wrote.

    Args:
        path: the file; of kind ``checkpoint``.
        trust: whether code in the file may run, where it cannot be read otherwise.

    Returns:
        The object, its tensors on the CPU. Without ``trust``, nothing in the file has run.

    Raises:
        ModelError: it names classes that are more than weights, or is damaged.
    """
    try:
        with warnings.catch_warnings():
            # Said of newer pickle protocols, which then fail all the same, and with a better reason.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return _load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust:
            raise _refusal(path, str(error)) from error
    except Exception as error:  # a damaged pickle makes the unpickler raise anything
        raise _damage(path, error) from error
    return _load_trusted(path)


def state_dict_in(loaded: object, path: Path) -> dict[str, Tensor]:
    """Find the weights in a training checkpoint.

    Args:
        loaded: what the file held.
        path: the file, for the error.

    Returns:
        Names, freed from the prefixes of DataParallel (``module.``) and torch.compile (``_orig_mod.``), to tensors.

    Raises:
        ModelError: there is no state dict in it.
    """
    found = _search(loaded)
    if found is None:
        what = f"a {type(loaded).__name__}"
        if isinstance(loaded, dict):
            what = f"a dictionary with the keys {listed(map(str, loaded))}" if loaded else "an empty dictionary"
        raise ModelError(f"{path} holds no state dict, but {what}", "save network.state_dict() with torch.save")
    return without_prefixes(found)


def without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Free names from what DataParallel, AveragedModel (``module.``) and torch.compile (``_orig_mod.``) added."""
    state = {name.replace("_orig_mod.", ""): value for name, value in state.items()}  # at any depth
    # Only where every name has it: a network may well have one part that it calls "module".
    while state.keys() - {COUNTER} and all(name.startswith("module.") for name in state.keys() - {COUNTER}):
        state = {name.removeprefix("module."): value for name, value in state.items() if name != COUNTER}
    return state


def module_in(loaded: object) -> nn.Module | None:
    """Find a whole network: the object itself, or under one of the keys that checkpoints use."""
    if isinstance(loaded, nn.Module):
        return loaded
    if isinstance(loaded, dict):
        return next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), nn.Module)), None)
    return None


def listed(names: Iterable[str]) -> str:
    """Join the first few of many names for an error message."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")


@contextmanager
def beside(path: Path) -> Iterator[None]:
    """Let a trusted pickle find the modules that lie beside it, as the script that saved it could."""
    before = list(sys.path)
    sys.path.insert(0, str(path.absolute().parent))
    try:
        yield
    finally:
        sys.path[:] = before


def _load(path: Path, *, weights_only: bool) -> object:
    with path.open("rb") as file:  # given a path, torch.load would go by its extension
        return torch.load(file, weights_only=weights_only, map_location="cpu")


def _load_trusted(path: Path) -> object:
    try:
        with beside(path):
            return _load(path, weights_only=False)
    except (ImportError, AttributeError) as error:  # the pickle names classes by where they were, not by what they are
        hint = "give the network's own code as --model FILE.py:FUNCTION, and its state dict as --weights"
        raise ModelError(f"{path} needs code that is not here: {error}", hint) from error
    except Exception as error:  # a damaged pickle makes the unpickler raise anything
        raise _damage(path, error) from error


def _refusal(path: Path, message: str) -> ModelError:
    names = _foreign_classes(path) or re.findall(r"GLOBAL (\S+)", message)[:1]
    if names:
        what = f"holds more than weights: it names {listed(names)}, and loading those can run code"
    else:
        reason = re.search(r"Unsupported operand[^\n.]*", message)
        what = f"cannot be read safely: {reason[0] if reason else 'it is damaged, or holds more than weights'}"
    return ModelError(f"{path} {what}", TRUST)


def _foreign_classes(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file))
    except Exception:  # noqa: BLE001 -- files from before torch 1.6, which it refuses, and damaged ones
        return []


def _damage(path: Path, error: Exception) -> ModelError:
    reason = str(error).partition("\n")[0][:200] or type(error).__name__
    return ModelError(f"{path} is truncated or damaged: {reason}", "download or save it again")


def _search(loaded: object, depth: int = 0) -> dict[str, Tensor] | None:
    if not isinstance(loaded, dict) or not loaded or depth > DEEPEST:
        return None
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()):
        return dict(loaded)
    inner = (_search(loaded.get(key), depth + 1) for key in WRAPPERS)
    return next((state for state in inner if state is not None), None)
