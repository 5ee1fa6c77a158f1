"""Nothing is written outside the folder of a run, also by the libraries that we use."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tidy() -> Iterator[None]:
    """Give matplotlib a temporary home for its list of fonts, unless the user has one or says where it is."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    if "MPLCONFIGDIR" in os.environ or cache.exists():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="advcli-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]
