"""The configuration on the command line."""

import subprocess
import sys
from pathlib import Path

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


def test_a_wrong_configuration_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "console.yaml").write_text("heartbeats:\n  every: often\n")
    done = subprocess.run(
        [HOLDFAST, "console", "config", "check", "-c", str(tmp_path / "console.yaml")], capture_output=True, text=True
    )
    assert done.returncode == 78
    assert "console.yaml:2:" in done.stderr
    assert "Traceback" not in done.stderr
