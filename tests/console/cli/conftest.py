"""Runs console commands as a person types them, on a state directory that a first start has made."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.parts import open_parts

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


@pytest.fixture
def holdfast(console_settings: Any, tmp_path: Path) -> Any:
    """Runs a console command on a state directory that a first start has made."""
    asyncio.run(open_parts(console_settings).store.close())
    config = tmp_path / "console.yaml"
    config.write_text("people:\n  listen: 127.0.0.1:18443\nagents:\n  listen: 127.0.0.1:18444\n")
    environment = {**os.environ, "HOLDFAST_CONSOLE_CONFIG": str(config)}

    def run(*words: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [HOLDFAST, "console", *words[:2], "--state-dir", console_settings.state, *words[2:]],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    run.state = Path(console_settings.state)  # type: ignore[attr-defined]
    return run
