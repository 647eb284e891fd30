"""The console's commands as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.wiring import open_parts

HOLDFAST = str(Path(sys.executable).with_name("holdfast"))


@pytest.fixture
def holdfast(console_settings: Any, tmp_path: Path) -> Any:
    """Runs a console command on a state directory that a first start has made."""
    import asyncio

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


def test_people_are_added_changed_and_locked_out(holdfast: Any) -> None:
    link = json.loads(holdfast("user", "link", "--json"))
    assert link["link"].startswith("https://127.0.0.1:18443/login/link?token=")
    holdfast("user", "add", "eve", "--role", "operator", "--password-stdin", stdin="correct horse battery\n")
    assert "already a user" in holdfast("user", "add", "eve", "--no-password", code=2)
    assert "has 5 characters" in holdfast("user", "passwd", "eve", "--password-stdin", stdin="short\n", code=2)
    holdfast("user", "passwd", "eve", "--password-stdin", stdin="another good password\n")
    holdfast("user", "disable", "eve")
    people = json.loads(holdfast("user", "list", "--json"))
    assert [(one["name"], one["role"], one["disabled"]) for one in people] == [
        ("admin", "admin", False),
        ("eve", "operator", True),
    ]
    assert "password" not in people[0]
    assert "last admin" in holdfast("user", "disable", "admin", code=2)


def test_the_authority_is_shown_renewed_backed_up_and_restored(holdfast: Any, tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("a long enough passphrase\n")
    words = ("--passphrase-file", str(tmp_path / "pass"))
    assert "generation 2" in holdfast("ca", "renew")
    before = holdfast("ca", "show")
    holdfast("ca", "backup", str(tmp_path / "backup"), *words)
    for entry in (holdfast.state / "ca").iterdir():
        entry.unlink()
    assert "no certificate authority" in holdfast("ca", "show", code=1)
    holdfast("ca", "restore", str(tmp_path / "backup"), *words)
    assert holdfast("ca", "show") == before
    assert "already holds" in holdfast("ca", "restore", str(tmp_path / "backup"), *words, code=1)


def test_agents_that_are_not_there_are_said_so(holdfast: Any) -> None:
    assert holdfast("agents", "list") == "no agents\n"
    assert "there is no agent web-9" in holdfast("agents", "revoke", "web-9", code=2)
    assert json.loads(holdfast("agents", "list", "--json")) == []


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


def test_a_wrong_configuration_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "console.yaml").write_text("heartbeats:\n  every: often\n")
    done = subprocess.run(
        [HOLDFAST, "console", "config", "check", "-c", str(tmp_path / "console.yaml")], capture_output=True, text=True
    )
    assert done.returncode == 78
    assert "console.yaml:2:" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_command_and_imports_none() -> None:
    done = subprocess.run([HOLDFAST, "console", "--help"], capture_output=True, text=True, check=True)
    for name in ("serve", "token", "agents", "user", "ca", "doctor", "config"):
        assert name in done.stdout


def test_a_state_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    command = [HOLDFAST, "console", "token", "create", "--state-dir", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no console in" in done.stderr
    assert not (tmp_path / "nothing").exists()
