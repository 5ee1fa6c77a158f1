"""advcli asks a neural image classifier what it looks at, what fools it, and what it looks at when it is fooled.

From Python: ``load`` a classifier, ``attack`` and ``explain`` images in memory. They are imported when they are first
used, so that ``import advcli`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advcli.api.attacking import AttackResult, attack
    from advcli.api.explaining import explain
    from advcli.api.loading import load
    from advcli.errors import AdvcliError

__version__ = "0.1.0"
__all__ = ["AdvcliError", "AttackResult", "attack", "explain", "load"]

_HOMES = {
    "AdvcliError": "advcli.errors",
    "AttackResult": "advcli.api.attacking",
    "attack": "advcli.api.attacking",
    "explain": "advcli.api.explaining",
    "load": "advcli.api.loading",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'advcli' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
