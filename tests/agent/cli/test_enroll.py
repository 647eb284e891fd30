"""`holdfast enroll`: the token from wherever it is given; one sentence and an exit code for everything that can be wrong."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("fake_console", Path(__file__).parents[1] / "fake_console.py")
fake_console = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_console)
console = fake_console.console


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folders = {"directories": {"state": str(tmp_path / "state"), "runtime": str(tmp_path / "run")}}
    (tmp_path / "agent.yaml").write_text(json.dumps(folders))
    return tmp_path / "agent.yaml"


def enroll(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from agent.command import main; main()", "enroll", *words]
    return subprocess.run(
        argv, input=said, capture_output=True, text=True, timeout=60, env={**os.environ, "NO_COLOR": "1"}
    )


def admit(console) -> str:
    token = console.authority.token()
    console.tokens[token] = (b"", b"")
    return token


def test_the_token_may_come_from_a_file_or_standard_input_and_again(console, config, tmp_path) -> None:
    token = admit(console)
    (tmp_path / "token").write_text(f"{token}\n")
    done = enroll(console.url, "--token-file", str(tmp_path / "token"), "-c", str(config))
    assert (done.returncode, done.stderr) == (0, "")
    agent = (tmp_path / "state" / "agent-id").read_text().strip()
    assert done.stdout.splitlines()[0] == f"enrolled at {console.url} as agent {agent}"
    assert "reload" in done.stdout.splitlines()[1]
    again = enroll(console.url, "--token-file", "-", "-c", str(config), "--json", said=token)
    assert json.loads(again.stdout)["agent"] == agent
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["URL"], 2, "give the token once"),
        (["URL", "--token", "nonsense"], 2, "this is not an enrolment token"),
        (["http://console", "--token", "TOKEN"], 2, "is not the address of a console"),
        (["https://127.0.0.1:1", "--token", "TOKEN"], 69, "is not reachable"),
        (["URL", "--token", "OTHER"], 77, "is not the console that made this token"),
        (["URL", "--token", "TOKEN"], 77, "this enrolment token has expired"),
        (["URL", "--token-file", "/does/not/exist"], 2, "/does/not/exist: no such file"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(console, config, words, code, sentence) -> None:
    values = {
        "URL": console.url,
        "TOKEN": console.authority.token(),
        "OTHER": fake_console.Authority("test authority").token(),
    }
    done = enroll(*(values.get(word, word) for word in words), "-c", str(config))
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_new_identity_is_another_agent(console, config, tmp_path) -> None:
    token = admit(console)
    assert enroll(console.url, "--token", token, "-c", str(config)).returncode == 0
    before = (tmp_path / "state" / "agent-id").read_text()
    console.tokens[token] = (b"", b"")
    assert enroll(console.url, "--token", token, "--new-identity", "-c", str(config)).returncode == 0
    assert (tmp_path / "state" / "agent-id").read_text() != before
