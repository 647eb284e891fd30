"""Enrolment tokens on the command line."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


def test_tokens_are_made_listed_and_revoked(holdfast: Any) -> None:
    made = json.loads(holdfast("token", "create", "--json", "--for", "2h", "--note", "for web-1"))
    assert made["token"].startswith("hf1.")
    assert made["url"] == "https://127.0.0.1:18444"
    listed = holdfast("token", "list", "--json")
    assert made["token"].split(".")[1] not in listed
    assert json.loads(listed)[0]["note"] == "for web-1"
    holdfast("token", "revoke", made["id"])
    assert "revoked" in holdfast("token", "list")
    assert "no unused token" in holdfast("token", "revoke", made["id"], code=2)
    assert "is not a duration" in holdfast("token", "create", "--for", "soon", code=2)


def test_a_state_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    command = [HOLDFAST, "console", "token", "create", "--state-dir", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no console in" in done.stderr
    assert not (tmp_path / "nothing").exists()
