"""The script of examples that tests claims on a folder: its commands are understood."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "claims.sh"


@pytest.mark.slow
def test_every_command_of_the_script_is_understood(photos, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    asked = ["bash", SCRIPT, photos, tmp_path, "--limit", "2", "--dry-run"]
    done = subprocess.run(asked, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("targets", "noise", "softmax", "detect"):
        assert name in SCRIPT.read_text()
