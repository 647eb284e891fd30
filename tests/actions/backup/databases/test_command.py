"""Any command: its output is kept when it ended well, was long enough and ended as it should."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from actions.backup.databases.command import Command
from actions.backup.databases.options import CommandOptions
from actions.backup.databases.saving import Report
from tests.actions.backup.conftest import Restic

Save = Callable[..., Report]


def source(script: str, **more: Any) -> Command:
    return Command(CommandOptions(name="ldap", argv=("/bin/sh", "-c", script), **more))


def test_the_output_is_what_is_saved(save: Save, restic: Restic) -> None:
    report = save(source("printf 'a\\0b\\n'; echo note >&2", file="data.ldif"))
    report.raise_for_failure()
    assert restic("dump", report.snapshot, "/databases/ldap/data.ldif").stdout == b"a\0b\n"
    assert "sh warns: note" in report.blind[0].detail


@pytest.mark.parametrize(
    ("script", "options", "words"),
    [
        ("echo data; exit 4", {}, "sh ended with code 4"),
        ("echo data; echo one >&2; echo two >&2; exit 1", {}, "code 1 (one | two)"),
        ("echo data; kill -9 $$", {}, "killed by signal 9"),
        ("true", {}, "0 bytes, at least 1"),
        ("echo data", {"min_size": 6}, "5 bytes, at least 6"),
        ("echo data", {"end_marker": "# done"}, "its end marker is missing"),
        ("echo '# done'; echo more", {"end_marker": "# done"}, "its end marker is missing"),
        ("echo data; sleep 973", {"timeout": 0.3}, "has not ended within 0.3 s"),
        ("echo data", {"end_marker": "("}, "its end marker is no regular expression"),
        ("echo data", {"run_as": "no-such-user"}, "there is no user no-such-user"),
    ],
)
def test_one_that_fails_is_not_kept(save: Save, script: str, options: dict[str, Any], words: str) -> None:
    began = time.monotonic()
    report = save(source(script, **options))
    assert report.snapshot == ""
    assert words in report.failed[0].message
    assert time.monotonic() - began < 20


def test_an_end_marker_may_be_a_pattern_and_white_space_does_not_matter(save: Save) -> None:
    save(source("echo data; echo '# done 17'; echo", end_marker=r"# done \d+")).raise_for_failure()


def test_a_missing_program_is_named(save: Save) -> None:
    report = save(Command(CommandOptions(name="x", argv=("/no/such/tool",))))
    assert "/no/such/tool is not there" in report.failed[0].message
