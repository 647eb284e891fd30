"""The mount on the real FUSE: what is seen is what a restore gives and what the stock restic's mount shows, and it ends cleanly."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actions.backup import mount as module
from actions.backup.archiver import Archiver
from actions.backup.blobs import BlobType
from actions.backup.mount import check_place
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer, find_tree
from actions.backup.stores.local import LocalStore
from actions.backup.stores.sftp import open_sftp
from contracts.errors import Unavailable, UsageError
from tests.actions.backup.conftest import CHEAP, PASSWORD
from tests.actions.backup.odd_tree import make, shape
from tests.actions.backup.stores.sshd import normal

HOLDFAST = Path(sys.executable).with_name("holdfast")
ROOT = Path(__file__).parents[3]


class Mounted:
    """A process that serves `place`; `said` is what it has said once it ended."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self.process, self.place = process, place
        self.said = ""

    def end(self, how: int | None = None) -> int:
        """End it by a signal, or by unmounting."""
        if how is None:
            subprocess.run(["umount", self.place], check=True)
        else:
            self.process.send_signal(how)
        try:
            self.said = "".join(self.process.communicate(timeout=60))
        except subprocess.TimeoutExpired:
            waits = [place.read_text() for place in Path(f"/proc/{self.process.pid}/task").glob("*/syscall")]
            self.process.send_signal(signal.SIGABRT)  # it then says where its threads are
            raise AssertionError("\n".join(["it did not end", *waits, *self.process.communicate()])) from None
        return self.process.returncode


@contextmanager
def mounted(place: Path, *argv: str | Path, library: str = "") -> Iterator[Mounted]:
    place.mkdir(exist_ok=True)
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "PYTHONFAULTHANDLER": "1"}
    environment |= {"FUSE_LIBRARY_NAME": library} if library else {}
    process = subprocess.Popen(
        [*map(str, argv), str(place)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Mounted(process, place)
    try:
        until = time.monotonic() + 120
        while not place.is_mount():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        yield running
    finally:
        if place.is_mount():
            subprocess.run(["umount", "-l", place], check=False)
        if process.poll() is None:
            process.kill()
            process.wait()


def ours(place: Path, repository: Path, *more: str, library: str = "") -> "object":
    return mounted(place, HOLDFAST, "backup", "mount", "-r", repository, *more, library=library)


def saved(where: Path, root: Path) -> tuple[Repository, str]:
    repository = Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    return repository, Archiver(repository).snapshot([str(root)], hostname="web", tags=["etc", "a/b"])[0]


def seen(place: Path, root: Path) -> Path:
    return place / "snapshots" / "latest" / root.relative_to("/")


@pytest.mark.parametrize("library", ["fuse3", "fuse"])
def test_what_is_mounted_is_the_source_to_the_last_bit(where: Path, tmp_path: Path, library: str) -> None:
    root = make(tmp_path / "tree")
    repository, id = saved(where, root)
    repository.load_index()
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    Restorer(repository).restore(tree, str(tmp_path / "restored"))
    with ours(tmp_path / "mnt", where, library=library) as running:  # type: ignore[attr-defined]
        found = shape(seen(running.place, root))
        assert found == shape(root)
        assert {path: what for path, what in found.items() if path != b"."} == {
            path: what for path, what in shape(tmp_path / "restored").items() if path != b"."
        }
        links = {os.fsencode(path.name): path.lstat().st_nlink for path in seen(running.place, root).iterdir()}
        assert (links[b"plain"], links[b"hard link"], links[b"empty"]) == (3, 3, 1)
        assert (seen(running.place, root) / "sparse").stat().st_blocks * 512 < 8 << 20
        with pytest.raises(OSError, match="Read-only") as error:
            (seen(running.place, root) / "new").touch()
        assert error.value.errno == errno.EROFS
        assert running.end() == 0
    assert running.said.count("\n") == 2, running.said
    assert list((where / "locks").iterdir()) == []


def test_the_folders_are_those_that_restic_shows(where: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "file").write_text("one")
    repository, _ = saved(where, root)
    repository.load_index()
    Archiver(repository).snapshot([str(root)], hostname="db", tags=[])
    with (
        ours(tmp_path / "mnt", where) as one,  # type: ignore[attr-defined]
        mounted(tmp_path / "restics", "restic", "--no-cache", "-r", where, "mount") as other,
    ):
        assert names(one.place) == names(other.place)
        assert len(names(one.place)) > 20
        assert (one.place / "hosts" / "web" / "latest" / root.relative_to("/") / "file").read_text() == "one"


def names(place: Path) -> list[tuple[str, str]]:
    """Everything above the snapshots' own files, with where links lead."""
    found = []
    for folder, folders, files in os.walk(place):
        depth = len(Path(folder).relative_to(place).parts)
        for name in (*folders, *files):
            path = Path(folder) / name
            found.append((str(path.relative_to(place)), os.readlink(path) if path.is_symlink() else ""))
        if depth >= 5:
            folders.clear()
    return sorted(found)


def test_the_choice_of_snapshots_is_the_only_one_shown(where: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    repository, _ = saved(where, root)
    repository.load_index()
    Archiver(repository).snapshot([str(root)], hostname="db", tags=[])
    with ours(tmp_path / "mnt", where, "--host", "db") as running:  # type: ignore[attr-defined]
        assert [path.name for path in (running.place / "hosts").iterdir()] == ["db"]


def test_damage_is_an_error_for_what_it_hurts_and_is_named(where: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "good").write_bytes(os.urandom(300_000))
    (root / "bad").write_bytes(os.urandom(400_000))
    repository, id = saved(where, root)
    repository.load_index()
    tree = find_tree(repository, repository.load_snapshot(id).tree, str(root))
    nodes = dict(repository.load_tree(bytes.fromhex(tree)))
    place = repository.index.find(BlobType.DATA, bytes.fromhex((nodes[b"bad"].content or [])[0]))[0]
    pack = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[place.offset + 50] ^= 1
    pack.write_bytes(data)
    with ours(tmp_path / "mnt", where) as running:  # type: ignore[attr-defined]
        folder = seen(running.place, root)
        assert (folder / "good").read_bytes() == (root / "good").read_bytes()
        assert (folder / "bad").stat().st_size == 400_000, "what is known of it is shown"
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output") as error:
                (folder / "bad").read_bytes()
            assert error.value.errno == errno.EIO
        assert running.end() == 0
    assert f"data/{place.pack.hex()}" in running.said
    assert "/bad: " in running.said
    assert "/good" not in running.said
    assert running.said.count(place.pack.hex()) == 1, "told once"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unmounts_and_leaves_no_lock(where: Path, tmp_path: Path, how: signal.Signals) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    saved(where, root)
    with ours(tmp_path / "mnt", where) as running:  # type: ignore[attr-defined]
        assert len(list((where / "locks").iterdir())) == 1
        assert running.end(how) == 0
        assert not running.place.is_mount()
    assert list((where / "locks").iterdir()) == []
    assert "Unmounted" in running.said


def test_a_repository_on_an_sftp_server_is_mounted_without_a_lock(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    with normal() as server:
        target = server.target()
        Path(target.path).parent.mkdir()
        store = open_sftp(target)
        repository = Repository.create(store, PASSWORD, cost=CHEAP)
        Archiver(repository).snapshot([str(root)], hostname="web")
        store.close()
        config = tmp_path / "agent.yaml"
        (tmp_path / "password").write_text(PASSWORD)
        (tmp_path / "password").chmod(0o600)
        config.write_text(
            f"backup: {{jobs: {{far: {{repository: 'sftp://root@127.0.0.1:{target.port}/{target.path}',"
            f" password: 'file:{tmp_path}/password', paths: [{root}],"
            f" ssh: {{key_file: {target.key_file}, known_hosts: {target.known_hosts}}}}}}}}}\n"
        )
        with mounted(tmp_path / "mnt", HOLDFAST, "backup", "mount", "-c", config, "--no-lock") as running:
            assert list((Path(target.path) / "locks").iterdir()) == []
            assert shape(seen(running.place, root)) == shape(root)
            assert running.end(signal.SIGTERM) == 0


def test_a_place_that_is_none_is_refused_with_what_would_do(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for place, words in ((tmp_path / "nowhere", "mkdir"), (tmp_path / "full", "empty"), (Path("/proc"), "umount")):
        with pytest.raises(UsageError, match=words):
            check_place(str(place))


def test_what_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_library", lambda _: None)
    with pytest.raises(Unavailable, match="apt install fuse3"):
        module._library()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "mfusepy", None)
    with pytest.raises(Unavailable, match="mfusepy"):
        module._library()
