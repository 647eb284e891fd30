"""Versions are kept, listed, shown and put back; what is there is kept first, and nothing else is touched."""

import os
import stat
from pathlib import Path

import pytest

from contracts.errors import HoldfastError, Refused, UsageError
from contracts.event import Event, Severity
from contracts.outcome import Failed

HOSTILE = b"na\xffme\n\xe2\x98\x83.conf"


def _versions(do, path) -> list[str]:
    return [line.split("\t")[0] for line in do("HistoryList", path=path).answer["versions"]]


def test_a_file_that_did_not_change_gets_no_new_version(do, etc: Path) -> None:
    (etc / "a.conf").write_text("one\n")
    assert do("HistoryKeep").answer["kept"] == 1
    assert do("HistoryKeep").answer["kept"] == 0
    (etc / "a.conf").chmod(0o600)
    assert do("HistoryKeep").answer["kept"] == 1
    assert len(_versions(do, etc / "a.conf")) == 2


def test_putting_back_restores_content_rights_owner_attributes_and_time(do, etc: Path) -> None:
    file = etc / "sshd_config"
    file.write_text("PermitRootLogin no\n")
    os.chown(file, 12, 34)
    file.chmod(0o640)
    os.setxattr(file, "user.note", b"kept")
    os.utime(file, ns=(10**18, 10**18 + 5))
    do("HistoryKeep")
    file.unlink()
    file.write_text("PermitRootLogin yes\n")
    (version,) = _versions(do, file)
    result = do("Rollback", path=file, to=version, why="ticket 7")
    found = file.stat()
    assert file.read_text() == "PermitRootLogin no\n"
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (12, 34, 0o640, 10**18 + 5)
    assert os.getxattr(file, "user.note") == b"kept"
    (event,) = result.events
    assert (event.kind, event.fields["who"], event.fields["why"]) == ("integrity.rolled_back", "ada", "ticket 7")
    assert len(_versions(do, file)) == 2, "what was there was kept first"
    do("Rollback", path=file, to=_versions(do, file)[1], why="undo")
    assert file.read_text() == "PermitRootLogin yes\n"


def test_a_file_that_is_gone_comes_back_and_one_that_was_not_there_goes(do, etc: Path) -> None:
    file = etc / "x"
    file.write_text("x")
    do("HistoryKeep")
    file.unlink()
    do("HistoryKeep", path=str(file))
    there, nothing = _versions(do, file)
    do("Rollback", path=file, to=there, why="w")
    assert file.read_text() == "x"
    do("Rollback", path=file, to=nothing, why="w")
    assert not file.exists()


def test_a_dry_run_changes_nothing(do, etc: Path) -> None:
    (etc / "x").write_text("1")
    do("HistoryKeep")
    (etc / "x").write_text("2")
    assert do("Rollback", dry_run=True, path=etc / "x", to="-0", why="w").answer["changed"]
    assert (etc / "x").read_text() == "2" and len(_versions(do, etc / "x")) == 1


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{etc}/../etc2/x", "{etc}x/y", "{etc}/a.swp", "", "relative"], ids=lambda path: path
)
def test_what_the_settings_do_not_name_is_neither_read_nor_written(do, etc: Path, path: str) -> None:
    with pytest.raises(Refused):
        do("HistoryList", path=path.format(etc=etc))
    with pytest.raises(Refused):
        do("Rollback", path=path.format(etc=etc), to="-0", why="w")


def test_a_link_in_the_place_of_the_file_or_a_folder_is_not_followed(do, etc: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("outside")
    (etc / "sub").mkdir()
    (etc / "sub/x").write_text("inside")
    do("HistoryKeep")
    (etc / "sub/x").unlink()
    (etc / "sub/x").symlink_to(outside / "x")
    with pytest.raises(HoldfastError):
        do("Rollback", path=etc / "sub/x", to="-0", why="w")
    (etc / "sub/x").unlink()
    (etc / "sub").rmdir()
    (etc / "sub").symlink_to(outside)
    with pytest.raises(HoldfastError):
        do("Rollback", path=etc / "sub/x", to="-0", why="w")
    assert (outside / "x").read_text() == "outside"


def test_a_reason_and_a_version_are_needed(do, etc: Path) -> None:
    (etc / "x").write_text("1")
    do("HistoryKeep")
    for arguments in ({"to": "-0", "why": " "}, {"why": "w"}):
        with pytest.raises(UsageError):
            do("Rollback", path=etc / "x", **arguments)


def test_a_diff_shows_what_changed_and_a_secret_is_never_shown_but_put_back(do, etc: Path) -> None:
    (etc / "x").write_text("a\nb\n")
    (etc / "shadow").write_text("root:$6$secret:1\n")
    do("HistoryKeep")
    (etc / "x").write_text("a\nc\n")
    (etc / "shadow").write_text("root::1\n")
    assert do("HistoryShow", path=etc / "x", version="-0", diff=True).answer["lines"][-2:] == ["-b", "+c"]
    assert do("HistoryShow", path=etc / "x", version="-0").answer["lines"] == ["a", "b"]
    with pytest.raises(Refused, match="is not shown"):
        do("HistoryShow", path=etc / "shadow", version="-0")
    do("Rollback", path=etc / "shadow", to="-0", why="w")
    assert "secret" in (etc / "shadow").read_text()


def test_what_could_not_be_kept_is_said(do, etc: Path) -> None:
    (etc / "large").write_text("x" * 2000)
    os.mkfifo(etc / "pipe")
    (event,) = do("HistoryKeep").events
    assert event.kind == "integrity.history_incomplete" and event.fields["count"] == 1
    (event,) = do("HistoryKeep", path=str(etc / "pipe")).events
    assert "no regular file" in str(event.fields["detail"])


def test_a_version_that_was_touched_is_said_and_not_put_back(do, etc: Path, tmp_path: Path) -> None:
    (etc / "x").write_text("1")
    do("HistoryKeep")
    (kept,) = (file for file in (tmp_path / "state/history").rglob("*") if file.is_file())
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    (etc / "x").write_text("2")
    result = do("Rollback", path=etc / "x", to="-0", why="w")
    assert isinstance(result.outcome, Failed) and result.events[0].kind == "integrity.history_damaged"
    assert (etc / "x").read_text() == "2"


def test_a_hostile_name_has_a_history_too(do, etc: Path) -> None:
    from contracts.text import escape

    path = os.fsencode(etc) + b"/" + HOSTILE
    with open(path, "w") as file:
        file.write("1")
    do("HistoryKeep")
    with open(path, "w") as file:
        file.write("2")
    do("Rollback", path=escape(path), to="-0", why="w")
    with open(path) as file:
        assert file.read() == "1"


def test_what_a_rule_passes_on_is_kept_as_far_as_it_is_a_watched_file(do, etc: Path, tmp_path: Path) -> None:
    changed = Event(kind="integrity.modified", severity=Severity.MEDIUM, key="x")
    for name in ("a", "b"):
        (etc / name).write_text(name)
    (etc / "folder").mkdir()
    (etc / "link").symlink_to("a")
    (tmp_path / "elsewhere").write_text("x")
    for path, kept in ((etc / "a", 1), (etc / "folder", 0), (etc / "link", 0), (tmp_path / "elsewhere", 0)):
        result = do("HistoryKeep", event=changed, path=path)
        assert (result.answer["kept"], result.answer["lacking"]) == (kept, 0), path
    assert _versions(do, etc / "b") == [], "only what was named"
    (etc / "a").rename(etc / "c")
    assert do("HistoryKeep", event=changed, paths=[str(etc / "c"), str(etc / "a")]).answer["kept"] == 2
    assert "is no regular file" in do("HistoryKeep", path=etc / "folder").events[0].fields["detail"]
