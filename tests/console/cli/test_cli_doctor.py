"""What the doctor finds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


def test_the_doctor_names_what_is_wrong(holdfast: Any) -> None:
    def doctor(code: int) -> str:
        done = subprocess.run(
            [HOLDFAST, "console", "doctor", "--state-dir", str(holdfast.state), "--json"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done
        return done.stdout

    checks = {one["name"]: one["ok"] for one in json.loads(doctor(0))}
    assert checks["authority"]
    assert checks["database"]
    (holdfast.state / "ca" / "ca-1.key").write_text("garbage")
    wrong = {one["name"]: one for one in json.loads(doctor(1))}
    assert "restore" in wrong["authority"]["fix"]
