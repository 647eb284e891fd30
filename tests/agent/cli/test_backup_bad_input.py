"""What is wrong with a repository is said in a sentence that names the file, with restic's exit code, and nothing is changed by it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType
from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


def state(place: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return {name: id_of(data) for name, data in found.items() if not name.startswith("locks/")}


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("verb", ["list", "check", "ls latest", "prune", "forget --keep-last 1", "key list"])
@pytest.mark.parametrize("folder", ["config", "keys", "index", "snapshots"])
@pytest.mark.parametrize("harm", ["flipped", "empty", "cut"])
def test_a_damaged_file_is_named_where_it_is_met_and_nothing_is_changed(
    home: Home, verb: str, folder: str, harm: str
) -> None:
    path = home.place / "config" if folder == "config" else sorted((home.place / folder).iterdir())[0]
    data = path.read_bytes()
    flipped = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    rewrite(path, {"flipped": flipped, "empty": b"", "cut": data[: len(data) // 3]}[harm])
    before = state(home.place)
    said = home.call(verb)
    if said.code == 0:
        assert verb not in {"check", "prune"}, (verb, said)
        assert folder in {"index", "keys", "snapshots"}, "only what a command has no need of may be damaged"
    else:
        assert said.code in {1, 12}, said
        assert path.name[:8] in said.out + said.err, said
        assert len(said.err.strip() or said.out.strip()) > 20
    if verb != "forget --keep-last 1" or said.code:
        assert state(home.place) == before


@pytest.mark.parametrize("folder", ["index", "snapshots"])
@pytest.mark.parametrize("named", ["by its hash", "by chance"])
def test_rubbish_that_somebody_added_keeps_nobody_from_the_snapshots(home: Home, folder: str, named: str) -> None:
    rubbish = os.urandom(300)
    name = (id_of(rubbish) if named == "by its hash" else os.urandom(32)).hex()
    (home.place / folder / name).write_bytes(rubbish)
    out, file = home.folder / "out", home.source / "one"
    looks = {
        "list": ([], home.ids[1][:8]),
        "ls": (["latest"], str(file)),
        "find": (["one"], str(file)),
        "dump": (["latest", file], "changed"),
        "diff": (home.ids, "one"),
        "restore": (["latest", "-t", out], "Restored 2 files"),
    }
    for verb, (words, shown) in looks.items():
        said = home.call(verb, *words)
        assert shown in said.out, (verb, said)
        needed = folder == "index" if verb == "diff" else verb != "list" or folder == "snapshots"
        assert (said.code, name[:8] in said.err) == (int(needed), needed), (verb, said)
    assert (out / file.relative_to("/")).read_text() == "changed"
    assert home.call("restore", home.ids[0], "-t", home.folder / "older").code == int(folder == "index")
    before = state(home.place)
    for verb in ("forget --keep-last 1", "prune", "forget --keep-last 1 --prune"):
        if folder == "snapshots" or verb == "prune":
            assert home.call(verb).code == 1, "what removes trusts no part of it"
            assert state(home.place) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((b'"version":2', b'"version":3'), "version"),
        ((b'"chunker_polynomial":"', b'"chunker_polynomial":"zz'), "config"),
        ((b'{"', b'["'), "config"),
    ],
)
def test_another_format_is_refused(home: Home, change: tuple[bytes, bytes], said: str) -> None:
    """The document is sealed anew: it is whole, and yet nothing that we may touch."""
    key = home.repository.key
    path = home.place / "config"
    document = bytes(key.open(path.read_bytes()))
    assert change[0] in document or b"\x02" in document[:1], document[:60]
    plain = document if document[:1] == b"{" else _inflated(document)
    rewrite(path, bytes(key.seal(plain.replace(*change, 1))))
    for verb in ("list", "check", "prune"):
        answer = home.call(verb)
        assert answer.code == 1
        assert said in answer.err


def _inflated(document: bytes) -> bytes:
    from actions.backup.compression import decompress

    return bytes(decompress(memoryview(document)[1:], 1 << 20))


def test_a_snapshot_that_is_whole_and_no_snapshot_is_named(home: Home) -> None:
    name = Files(LocalStore(home.place), home.repository.key, 2).save(FileType.SNAPSHOT, b'{"no": "snapshot"}')
    said = home.call("check")
    assert said.code == 1
    assert name[:8] in said.out + said.err


def test_no_repository_and_a_file_in_its_place(home: Home, tmp_path: Path) -> None:
    home.place.rename(tmp_path / "elsewhere")
    assert home.call("list").code == 10
    home.place.write_text("a file")
    said = home.call("list")
    assert said.code in {1, 10}
    assert str(home.place) in said.err


@pytest.mark.parametrize(
    "verb", ["list", "check", "ls latest", "prune", "forget --keep-last 1", "key list", "find one", "dump", "diff"]
)
def test_a_wrong_password_is_code_12_and_nothing_is_touched(home: Home, verb: str) -> None:
    home.password.write_text("wrong\n")
    before = state(home.place)
    words = {"diff": home.ids, "dump": ["latest", home.source / "one"]}.get(verb, [])
    said = home.call(verb, *words)
    assert (said.code, "wrong password" in said.err) == (12, True), said
    assert said.out == ""
    assert state(home.place) == before
    assert list((home.place / "locks").iterdir()) == []


@pytest.mark.parametrize("verb", ["check", "prune", "forget --keep-last 1", "repair"])
def test_while_another_holds_it_alone_a_command_ends_with_11_and_says_who(home: Home, verb: str) -> None:
    with home.repository.lock(exclusive=True):
        before = state(home.place)
        said = home.call(verb)
        assert (said.code, f"PID {os.getpid()}" in said.err, "wait" in said.err) == (11, True, True), said
        assert state(home.place) == before


def test_a_restore_says_who_is_in_its_way_and_leaves_nothing(home: Home) -> None:
    with home.repository.lock(exclusive=True):
        assert home.call("restore", "latest", "-t", home.folder / "out").code == 11
    assert not (home.folder / "out").exists()
    said = home.call("restore", "latest", "-t", home.source / "one")
    assert (said.code, said.err) == (74, f"holdfast: {home.source}/one: file exists\n")


def test_no_space_for_a_restore_is_said_with_every_file_that_is_missing(home: Home) -> None:
    (home.source / "large").write_bytes(os.urandom(3 << 20))
    home.save()
    small = home.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        said = home.call("restore", "latest", "-t", small / "out")
        assert said.code == 1
        assert "large: No space left on device" in said.out + said.err, said
        place = small / "out" / home.source.relative_to("/")
        assert sorted(path.name for path in place.rglob("*")) == ["folder", "one", "two"], "no half of a file is left"
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_snapshot_from_the_future_holds_what_would_remove(home: Home) -> None:
    from actions.backup.archiver import Archiver

    home.repository.load_index()
    Archiver(home.repository).snapshot(
        [str(home.source)], hostname="here", tags=["etc"], time_ns=time.time_ns() + 86400 * 10**9
    )
    before = state(home.place)
    said = home.call("forget --keep-last 1")
    assert (said.code, "dated in the future" in said.err) == (1, True), said
    assert state(home.place) == before
    assert home.call("check").code == 0


def test_an_interrupted_command_ends_with_130_and_leaves_no_lock(home: Home) -> None:
    words = [sys.executable, "-c", _SLOW, "backup", "check", "--read-data", "-c", str(home.config)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"reading\n"
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert b"Traceback" not in errors
    assert list((home.place / "locks").iterdir()) == []


_SLOW = """
import sys, time
from actions.backup.checker import Checker
from agent import command
def slow(self):
    print("reading", flush=True)
    time.sleep(60)
Checker._packs = slow
sys.exit(command.run(sys.argv[1:]))
"""
