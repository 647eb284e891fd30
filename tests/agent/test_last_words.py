"""A fork's last words reach descriptor 2, whatever became of `sys.stderr`."""

import io
import os
import subprocess
import sys

from agent.last_words import last_words

SCRIPT = """
import os, sys
from agent.last_words import last_words
sys.stderr = open(os.devnull, "w")
try:
    raise ValueError("na\\udcefve")
except ValueError:
    last_words("holdfast test")
"""


def test_the_traceback_is_written_though_stderr_leads_elsewhere() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("holdfast test ends by a defect:\n")
    assert "ValueError: na\\udcefve" in done.stderr


def test_a_closed_descriptor_is_no_second_defect(monkeypatch) -> None:
    def closed(_fd: int, _data: bytes) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "write", closed)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    last_words("holdfast test")
    assert sys.stderr.getvalue() == ""
