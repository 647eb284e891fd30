"""A change in a web root is weighed, and what is found is told with the change that brought it."""

from pathlib import Path

import msgspec

from collectors.integrity.webshell import WebShells
from contracts.event import Severity
from contracts.file_change import CREATED, DELETED, MODIFIED, OWNER, REALTIME, Author, Change
from contracts.trees import Node

NODE = Node(b"x.php", 0o100644, 33, 33, 1, 10, 0, 0, 1, 1, content=b"\x01" * 32)
AUTHOR = Author(pid=1, process="php-fpm", user="www-data", login="ada")


def _change(**fields) -> Change:
    base = Change(path=b"/var/www/x.php", kinds=(CREATED,), after=NODE, found_by=REALTIME, at_ms=7, author=AUTHOR)
    return msgspec.structs.replace(base, **fields)


def _watch(content: bytes | None, rules: str = "") -> WebShells:
    return WebShells(lambda change, most: content, rules)


def test_a_web_shell_is_critical_and_tied_to_who_brought_it() -> None:
    event = _watch(b"<?php eval($_POST['x']);").look(_change())
    assert event is not None and (event.kind, event.severity) == ("integrity.webshell_found", Severity.CRITICAL)
    assert event.fields["process"] == "php-fpm" and event.fields["login"] == "ada" and event.observed_ms == 7
    assert event.fields["reasons"] == ["eval of what visitors send"] and event.fields["sha256"] == "01" * 32


def test_signs_alone_are_a_suspicion() -> None:
    event = _watch(b"\x7fELF").look(_change(path=b"/var/www/a"))
    assert event is not None and event.kind == "integrity.webshell_suspected"


def test_honest_files_deletions_folders_and_other_owners_say_nothing() -> None:
    watch = _watch(b"<?php eval($_POST['x']);")
    assert _watch(b"<?php echo 1;").look(_change()) is None
    assert watch.look(_change(kinds=(DELETED,), after=None, before=NODE)) is None
    assert watch.look(_change(kinds=(OWNER,), before=NODE)) is None
    assert watch.look(_change(after=msgspec.structs.replace(NODE, mode=0o040755))) is None


def test_a_file_that_cannot_be_read_is_a_blind_spot_once() -> None:
    watch = _watch(None)
    assert watch.look(_change(kinds=(MODIFIED,))) is None
    (spot,) = watch.blind()
    assert "/var/www/x.php" in spot.detail and watch.blind() == ()


def test_a_rule_of_the_folder_finds_what_words_do_not(tmp_path: Path) -> None:
    (tmp_path / "mine.yar").write_text('rule shell { strings: $a = "b374k" condition: $a }')
    event = _watch(b"<?php // b374k", str(tmp_path)).look(_change())
    assert event is not None and event.fields["yara"] == ["mine:shell"] and event.kind == "integrity.webshell_found"
