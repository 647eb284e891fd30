"""Tools are run by their path, without a shell, within bounds, and ended with their children."""

import os
import subprocess
import time

import pytest

from contracts.errors import Unavailable, Why
from host import commands
from host.commands import LinuxCommands, run


def why(*argv: str, timeout_s: float = 5.0, max_bytes: int = 1 << 20) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        run(argv, b"", timeout_s, max_bytes)
    assert caught.value.advice
    return caught.value


def test_a_tool_answers_in_the_c_locale_with_its_code() -> None:
    counted: list[int] = []
    done = LinuxCommands(counted.append).ask("dpkg-query", "-S", "/nonexistent")
    assert done.code == 1
    assert b"no path found" in done.stderr
    assert counted == [len(done.stdout) + len(done.stderr)]


def test_what_is_not_known_to_read_is_not_run() -> None:
    with pytest.raises(ValueError, match="only reads"):
        LinuxCommands().ask("nft", "flush", "ruleset")


def test_a_missing_tool_is_named_with_its_package() -> None:
    error = why("no-such-tool")
    assert error.why is Why.TOOL_MISSING
    assert "no-such-tool" in error.message
    assert not LinuxCommands().present("no-such-tool")
    assert not LinuxCommands().present("../bin/sh")
    assert LinuxCommands().present("ss")


def test_a_tool_that_hangs_is_ended_with_its_children() -> None:
    began = time.monotonic()
    assert why("sh", "-c", "sleep 987.5 & sleep 987.5", timeout_s=0.3).why is Why.TIMEOUT
    assert time.monotonic() - began < 60
    assert "987.5" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_tool_that_says_too_much_is_ended() -> None:
    assert why("yes", max_bytes=100_000).why is Why.TOO_LARGE


def test_input_is_given_and_a_tool_that_does_not_read_it_does_not_hang() -> None:
    big = os.urandom(1 << 20)
    assert run(["cat"], big, 10, 2 << 20).stdout == big
    assert run(["true"], big, 10, 1).code == 0


def test_standard_error_is_cut() -> None:
    done = run(["sh", "-c", "head -c 200000 /dev/zero >&2"], b"", 10, 1)
    assert len(done.stderr) == commands._MAX_STDERR


def test_a_tool_that_may_not_be_executed_is_told_as_that(netns: object) -> None:
    code = """
import json, os
from contracts.errors import Unavailable
from host import commands
commands.SEARCH = (os.environ["PLACE"],)
try:
    commands.run(["tool"], b"", 5, 100)
except Unavailable as error:
    print(json.dumps([error.why, error.advice]))
"""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "tool").write_text("#!/bin/sh\n")
        os.environ["PLACE"] = folder
        try:
            reason, advice = netns.python(code, capabilities=())  # type: ignore[attr-defined]
        finally:
            del os.environ["PLACE"]
    assert reason == "permission"
    assert "execute" in advice


def test_a_command_of_the_configuration_is_run_as_it_is_and_one_that_is_not_there_is_said(tmp_path):
    commands = LinuxCommands()
    assert commands.configured("/bin/echo", "signatures: 5").stdout == b"signatures: 5\n"
    with pytest.raises(Unavailable):
        commands.configured(f"{tmp_path}/none")
