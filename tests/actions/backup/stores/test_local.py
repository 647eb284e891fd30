"""The local store: restic's layout, nothing half-written ever under a final name, every error of the system in our words."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from actions.backup.stores import local
from actions.backup.stores.local import TEMPORARY, LocalStore
from actions.backup.stores.store import CONFIG, AlreadyThere, Buffer, Denied, FileType, NoSpace, NotThere, StoreError
from tests.actions.backup.stores.conformance import Conformance, a_pack


class TestLocalStore(Conformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "repository")


class TestLocalStoreWithoutHardLinks(Conformance):
    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        return LocalStore(tmp_path / "repository")


class TestLocalStoreOnSeveralFileSystems(Conformance):
    """Every folder is a mount of its own, as far as linking goes; packs are written in another folder than they end in."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
        link = os.link

        def within(source: Path, name: Path) -> None:
            if source.parent != name.parent:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            link(source, name)

        monkeypatch.setattr(os, "link", within)
        return LocalStore(tmp_path / "repository")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "repository")
    made.create()
    return made


def test_a_pack_reaches_a_folder_that_is_another_file_system(store: LocalStore, tmp_path: Path) -> None:
    """A real mount for every folder of `data`, in a mount namespace of its own."""
    code = f"""
import os, sys
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle
from hashlib import sha256
store = LocalStore({store.location!r})
for number in range(8):
    body = b"pack %d" % number
    draft = store.draft()
    draft.add(body)
    store.save(Handle(FileType.PACK, sha256(body).hexdigest()), draft)
    draft.discard()
names = sorted(name for name, _ in store.list(FileType.PACK))
assert names == sorted(sha256(b"pack %d" % number).hexdigest() for number in range(8)), names
assert {{os.stat(f"{{store.location}}/data/{{name[:2]}}/{{name}}").st_mode & 0o777 for name in names}} == {{0o400}}
left = [entry for folder in os.scandir(f"{{store.location}}/data") for entry in os.listdir(folder)]
assert len(left) == 8, left
"""
    mounts = "".join(f"mount -t tmpfs -o mode=0700,size=1m none {store.location}/data/{n:02x} && " for n in range(256))
    argv = ["unshare", "--mount", "sh", "-c", f'{mounts}exec "$@"', "sh", sys.executable, "-c", code]
    subprocess.run(argv, check=True, cwd=Path(__file__).resolve().parents[4])


def test_the_layout_and_modes_are_those_of_restic(store: LocalStore, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    subprocess.run(
        ["restic", "-q", "--no-cache", "-r", theirs, "init"],
        env={**os.environ, "RESTIC_PASSWORD": "x"},
        check=True,
        capture_output=True,
    )
    store.save(CONFIG, [b"x"])

    def shape(root: Path) -> set[tuple[str, int]]:
        return {(str(p.relative_to(root)), p.stat().st_mode) for p in root.rglob("*") if p.parent.name != "keys"}

    assert shape(Path(store.location)) == shape(theirs)


def test_a_shared_repository_stays_readable_by_its_group(store: LocalStore) -> None:
    store.save(CONFIG, [b"x"])
    Path(store.location, "config").chmod(0o440)
    store.save(a_pack(), [b"x"])
    assert Path(store.location, "data", a_pack().name[:2], a_pack().name).stat().st_mode & 0o777 == 0o440


def test_a_missing_data_folder_is_made_when_needed(store: LocalStore) -> None:
    Path(store.location, "data", a_pack().name[:2]).rmdir()
    store.save(a_pack(), [b"x"])
    assert store.load(a_pack()) == b"x"


def test_leftovers_and_strangers_are_not_listed(store: LocalStore) -> None:
    folder = Path(store.location, "data", a_pack().name[:2])
    (folder / f"{a_pack().name}{TEMPORARY}0123").write_bytes(b"torn")
    (folder / ".nfs0001").write_bytes(b"")
    (folder / ("b" * 64)).symlink_to("/etc/passwd")
    assert list(store.list(FileType.PACK)) == []


def test_sweep_removes_only_old_leftovers(store: LocalStore) -> None:
    store.save(a_pack(), [b"x"])
    folder = Path(store.location, "data", a_pack().name[:2])
    old, young, foreign = (folder / f"{a_pack().name}{TEMPORARY}{n}" for n in "123")
    foreign = folder / f"letter{TEMPORARY}3"
    for path in (old, young, foreign):
        path.write_bytes(b"torn")
    for path in (old, foreign):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert store.sweep(3600) == 1
    assert (old.exists(), young.exists(), foreign.exists()) == (False, True, True)
    assert store.load(a_pack()) == b"x"


@pytest.mark.parametrize(
    ("number", "kind", "permanent"),
    [
        (errno.ENOSPC, NoSpace, True),
        (errno.EDQUOT, NoSpace, True),
        (errno.EROFS, Denied, True),
        (errno.EACCES, Denied, True),
        (errno.EIO, StoreError, False),
        (errno.ESTALE, StoreError, False),
        (errno.ENAMETOOLONG, StoreError, True),
    ],
)
def test_errors_of_the_system_are_translated_and_leave_nothing(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError], permanent: bool
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(local.os, "writev", fail)
    with pytest.raises(StoreError) as caught:
        store.save(a_pack(), [b"x"])
    assert type(caught.value) is kind
    assert caught.value.permanent is permanent
    assert a_pack().name in caught.value.message
    assert [p for p in Path(store.location).rglob("*") if p.is_file()] == []


def test_a_full_disk_is_no_space(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        store = LocalStore(small / "repository")
        store.create()
        with pytest.raises(NoSpace) as caught:
            store.save(a_pack(), [bytes(4 << 20)])
        assert "make room" in str(caught.value)
        assert list(store.list(FileType.PACK)) == []
        store.save(a_pack(), [b"small"])
        assert store.load(a_pack()) == b"small"
    finally:
        subprocess.run(["umount", small], check=True)


_WRITER = """
import hashlib, sys
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle
store = LocalStore(sys.argv[1])
number = 0
print("go", flush=True)
while True:
    data = f"{number} ".encode() * 40_000
    store.save(Handle(FileType.PACK, hashlib.sha256(data).hexdigest()), [data])
    print(number, flush=True)
    number += 1
"""


def test_kill_at_any_moment_leaves_whole_files_or_none(store: LocalStore) -> None:
    import hashlib

    dice = random.Random(5)
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, store.location], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"go\n"
        time.sleep(dice.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        said = len(writer.stdout.read().splitlines())
        writer.wait()
        writer.stdout.close()
        names = dict(store.list(FileType.PACK))
        assert len(names) >= said
        for name in names:
            handle = a_pack()._replace(name=name)
            assert hashlib.sha256(store.load(handle)).hexdigest() == name
            store.remove(handle)


def test_writing_over_the_config_is_refused(store: LocalStore) -> None:
    store.save(CONFIG, [b"mine"])
    with pytest.raises(AlreadyThere):
        store.save(CONFIG, [b"theirs"])


def test_a_draft_leaves_nothing_behind_and_what_a_kill_leaves_is_swept(store: LocalStore) -> None:
    folder = Path(store.location)
    one, other, empty = store.draft(), store.draft(), store.draft()
    one.add(b"1")
    other.add(b"2")
    assert len([path for path in folder.rglob("*") if TEMPORARY in path.name]) == 2
    one.discard()
    empty.discard()
    assert [path.read_bytes() for path in folder.rglob("*") if TEMPORARY in path.name] == [b"2"]
    assert store.sweep(3600) == 0
    assert store.sweep(-1) == 1
    with pytest.raises(NotThere):
        store.save(a_pack(b"2"), other)
    store.save(a_pack(b""), empty)
    assert store.load(a_pack(b"")) == b""


def test_a_draft_has_the_modes_of_the_repository_and_makes_missing_folders(store: LocalStore) -> None:
    store.save(CONFIG, [b"x"])
    Path(store.location, "config").chmod(0o440)
    for folder in Path(store.location, "data").iterdir():
        folder.rmdir()
    draft = store.draft()
    draft.add(b"shared")
    store.save(a_pack(b"shared"), draft)
    path = Path(store.location, "data", a_pack(b"shared").name[:2], a_pack(b"shared").name)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o440, 0o750)


def test_a_full_disk_under_a_draft_is_told_and_discarded(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    draft = store.draft()
    draft.add(b"x")
    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(NoSpace):
        draft.add(b"y")
    draft.discard()
    assert not [path for path in Path(store.location).rglob("*") if TEMPORARY in path.name]


def test_a_draft_that_could_not_take_all_is_never_gone_on_with_nor_published(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(descriptor: int, parts: Sequence[Buffer]) -> int:
        if whole:
            return real(descriptor, parts)
        os.write(descriptor, bytes(parts[0])[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    real, whole = os.writev, False
    draft = store.draft()
    monkeypatch.setattr(os, "writev", half)
    with pytest.raises(NoSpace):
        draft.add(b"half of it")
    whole = True  # room again: another thread that fills the same pack comes along
    with pytest.raises(NoSpace):
        draft.add(b"more")
    with pytest.raises(NoSpace):
        store.save(a_pack(b"half of itmore"), draft)
    draft.discard()
    assert list(store.list(FileType.PACK)) == []
    assert not [path for path in Path(store.location).rglob("*") if TEMPORARY in path.name]
