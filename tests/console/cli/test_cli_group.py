"""The group of console commands."""

import subprocess
import sys
from pathlib import Path

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


def test_help_names_every_command_and_imports_none() -> None:
    done = subprocess.run([HOLDFAST, "console", "--help"], capture_output=True, text=True, check=True)
    for name in ("serve", "token", "agents", "user", "ca", "doctor", "config"):
        assert name in done.stdout
