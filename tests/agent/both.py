"""A console and an agent in a network namespace of their own, as `make run` starts them, for tests of what passes between the two."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tests.agent.test_end_to_end import PATIENCE_S, ROOT

HOLDFAST = Path(sys.executable).with_name("holdfast")
START = 'ip link set lo up && exec "$0" tools/run_local.py --state "$1" --json'


class Both:
    """Both at work, with `settings` below `etc`, by file; `pids` are their processes by name."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.state = folder / "var"
        for name, text in settings.items():
            path = self.state / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600)
        with (folder / "log").open("wb") as log:
            argv = ["unshare", "--net", "sh", "-c", START, sys.executable, str(self.state)]
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (folder / "log").read_text()
        self.pids = json.loads(line)

    def holdfast(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the agent's; None for any exit code."""
        argv = [str(HOLDFAST), *words, "-c", str(self.state / "etc" / "agent.yaml")]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def rows(self, query: str, *values: object) -> list[Any]:
        """What the console's own database answers."""
        (path,) = (self.state / "console").glob("*.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as base:
            return base.execute(query, values).fetchall()

    def stored(self, kind: str) -> list[Any]:
        """The events of a kind that the console has."""
        rows = self.rows("SELECT body FROM events WHERE kind = ?", kind)
        return [msgspec.msgpack.decode(body)["event"] for (body,) in rows]

    def until(self, holds: Callable[[], object], seconds: float, why: Callable[[], object] = lambda: "") -> None:
        """Wait until something holds."""
        end = time.monotonic() + max(seconds, PATIENCE_S)
        while not holds():
            assert time.monotonic() < end, why()
            time.sleep(0.05)

    def close(self) -> None:
        """End both."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
