"""The command line imports only what is called, and what goes wrong is one line and the right exit code."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from agent import command
from contracts.errors import Unreachable


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Commands of our own in a module that notes when it is used."""
    module = ModuleType("made_commands")
    used: list[str] = []

    @click.command()
    def fine() -> None:
        """Fine."""
        used.append("fine")
        click.echo("fine")

    @click.command()
    def no() -> int:
        """No."""
        return 1

    @click.command()
    def away() -> None:
        """Away."""
        raise Unreachable("the agent does not answer", advice="start it")

    @click.command()
    def interrupted() -> None:
        """Interrupted."""
        raise KeyboardInterrupt

    @click.command()
    def file() -> None:
        """File."""
        Path("/nonexistent/x").read_text()

    for name, each in {"fine": fine, "no": no, "away": away, "interrupted": interrupted, "file": file}.items():
        setattr(module, name, each)
    monkeypatch.setitem(sys.modules, "made_commands", module)
    agent = {name: (f"made_commands:{name}", f"{name} help") for name in ("fine", "no", "away", "interrupted", "file")}
    hidden = {"hidden": ("made_commands:fine", "")}
    console = {"console": ("no_such_library_of_console:console", "Console.")}
    monkeypatch.setattr(command, "tables", lambda: {"agent": {**agent, **hidden}, "console": console})
    yield used


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("fine", 0, ""),
        ("hidden", 0, ""),
        ("no", 1, ""),
        ("away", 69, "holdfast: the agent does not answer; start it\n"),
        ("interrupted", 130, "\n"),
        ("file", 74, "holdfast: /nonexistent/x: no such file or directory\n"),
        ("fin", 2, 'holdfast: there is no command "fin"; did you mean "fine"?\n'),
        ("zzzzz", 2, 'holdfast: there is no command "zzzzz"; valid here: away, console, file, fine, interrupted, no\n'),
    ],
)
def test_each_ending_has_its_code_and_its_line(
    made: list[str], capsys: pytest.CaptureFixture[str], name: str, code: int, said: str
) -> None:
    assert command.run([name]) == code
    assert capsys.readouterr().err == said


def test_a_wrong_option_is_a_mistake_in_the_words(made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["fine", "--nonsense"]) == 2
    assert "--nonsense" in capsys.readouterr().err


def test_help_imports_no_command(
    made: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_load", lambda *_: pytest.fail("a command was imported"))
    assert command.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "fine help" in shown
    assert "hidden" not in shown


def test_a_missing_extra_is_one_sentence(
    made: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ModuleType("made_console")
    monkeypatch.setitem(sys.modules, "made_console", broken)
    with pytest.raises(
        command.NotInstalled, match=r"console needs litestar, which is not installed here; install holdfast\[console\]"
    ):
        _load_with_missing(monkeypatch, "litestar")
    assert command.run(["console"]) == 69
    assert capsys.readouterr().err.count("\n") == 1


def _load_with_missing(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    def lacking(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)

    with monkeypatch.context() as patched:
        patched.setattr(command.importlib, "import_module", lacking)
        command._load("console", "console.cli.console:console", "console")


def test_our_own_entry_points_are_found() -> None:
    assert dict(command.entry_points())["agent"] == "agent.cli.commands:COMMANDS"


def test_the_whole_table_is_complete_and_cheap() -> None:
    code = (
        "import sys; from agent import command; command.run(['--help']); "
        "heavy = {'yaml', 'importlib.metadata', 'cryptography', 'asyncio', 'rich', 'psutil', 'sqlite3', 'ssl'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in (
        "run",
        "status",
        "events",
        "coverage",
        "ledger",
        "check-config",
        "config",
        "enroll",
        "diagnose",
        "support-bundle",
        "firewall",
        "ports",
    ):
        assert f"  {name} " in done.stdout
    assert "  worker " not in done.stdout


def test_a_reader_who_goes_away_is_no_error() -> None:
    code = "import sys; from agent import command; sys.argv = ['holdfast', '--help']; command.main()"
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_version_is_shown() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from agent.command import run; run(['--version'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith("holdfast 0.")
