"""Samples, reference pages, manual pages and completions are what the code makes."""

import subprocess
import sys
from pathlib import Path


def test_generated_files_are_in_step(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
