"""The daemon's own part; what it does as a whole is in test_end_to_end."""

import importlib
import subprocess
import sys

import pytest

from agent import daemon


def test_what_is_imported_late_can_be_imported_ahead() -> None:
    for name in daemon.LATE_MODULES:
        importlib.import_module(name)


def test_the_core_stays_light() -> None:
    heavy = {
        "click",
        "rich",
        "yaml",
        "cryptography",
        "asyncio",
        "psutil",
        "apprise",
        "schedule",
        "logging",
        "difflib",
    }
    code = f"import agent.daemon, agent.wiring, sys; agent.wiring.judges(); print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_words_are_a_sentence_and_the_right_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert daemon.main(["--frobnicate"]) == 2
    assert capsys.readouterr().err == 'holdfast: the agent does not know "--frobnicate"; see `holdfast run --help`\n'
