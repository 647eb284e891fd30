"""`holdfast run` becomes the daemon, with whole paths and without the command line library."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import run


def test_it_becomes_the_daemon_with_whole_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    became: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *words: became.append(words))
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(run.run, ["-c", "agent.yaml", "--state-dir", "s"]).exit_code == 0
    program, argv, environment = became[0]
    assert program == sys.executable
    assert argv[-4:] == ["-c", str(tmp_path / "agent.yaml"), "--state-dir", str(tmp_path / "s")]
    assert environment["MALLOC_ARENA_MAX"] == "1"


def test_a_missing_configuration_is_one_sentence_and_the_right_code(tmp_path: Path) -> None:
    argv = [str(Path(sys.executable).with_name("holdfast")), "run", "-c", str(tmp_path / "none.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "cannot be read" in done.stderr
