"""The SFTP store on a real sshd: normal, chrooted, without links, and write-once; and the whole backup room on top of it."""

import hashlib
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.checker import Checker
from actions.backup.errors import AlreadyRepository, NoRepository, WrongPassword
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer
from actions.backup.stores.local import TEMPORARY, LocalStore
from actions.backup.stores.sftp import SftpStore, open_sftp
from actions.backup.stores.store import (
    CONFIG,
    AlreadyThere,
    Denied,
    FileType,
    Handle,
    NoSpace,
    NotThere,
    Store,
    StoreError,
)
from tests.actions.backup.conftest import CHEAP, PASSWORD
from tests.actions.backup.stores.conformance import Conformance, a_pack
from tests.actions.backup.stores.proxy import Proxy
from tests.actions.backup.stores.sshd import WRITE_ONCE, Sshd, chrooted, make_write_once_folders, normal


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with normal() as running:
        yield running


@pytest.fixture(scope="module")
def cage() -> Iterator[Sshd]:
    with chrooted() as running:
        yield running


@pytest.fixture(scope="module")
def vault() -> Iterator[Sshd]:
    with chrooted(WRITE_ONCE) as running:
        yield running


@pytest.fixture(scope="module")
def without_links() -> Iterator[Sshd]:
    with chrooted("internal-sftp -P hardlink") as running:
        yield running


def a_store(server: Sshd, path: str | None = None, **changes: object) -> Iterator[SftpStore]:
    store = SftpStore(server.target(path, **changes))
    yield store
    store.close()


@pytest.fixture
def store(server: Sshd) -> Iterator[SftpStore]:
    for store in a_store(server):
        store.create()
        yield store


class TestSftpStore(Conformance):
    @pytest.fixture
    def store(self, server: Sshd) -> Iterator[Store]:
        yield from a_store(server)


class TestSftpStoreThatTriesAgain(Conformance):
    @pytest.fixture
    def store(self, server: Sshd) -> Iterator[Store]:
        store = open_sftp(server.target())
        yield store
        store.close()


class TestChrootedSftpStore(Conformance):
    @pytest.fixture
    def store(self, cage: Sshd) -> Iterator[Store]:
        yield from a_store(cage, f"/repositories/{secrets.token_hex(4)}")


class TestSftpStoreWithoutLinks(Conformance):
    @pytest.fixture
    def store(self, without_links: Sshd) -> Iterator[Store]:
        yield from a_store(without_links, f"/repositories/{secrets.token_hex(4)}")


class TestWriteOnceSftpStore(Conformance):
    """The same suite; what is different is only that nothing can be removed."""

    @pytest.fixture
    def store(self, vault: Sshd) -> Iterator[Store]:
        yield from a_store(vault, f"/repositories/{secrets.token_hex(4)}")

    @pytest.fixture
    def made(self, vault: Sshd, store: SftpStore) -> Store:
        make_write_once_folders(vault, store.location.rpartition("/")[2])
        store.create()
        return store

    def test_a_file_that_is_not_there(self, made: Store) -> None:
        for call in (made.load, made.stat):
            with pytest.raises(NotThere):
                call(a_pack())

    def test_removing(self, made: Store) -> None:
        made.save(a_pack(), [b"x"])
        with pytest.raises(Denied):
            made.remove(a_pack())
        assert made.load(a_pack()) == b"x"


# what lies there


def on_disk(server: Sshd, store: SftpStore) -> Path:
    return Path(store.location.partition("://")[2].partition("/")[2])


def test_the_layout_is_that_of_the_local_store(server: Sshd, store: SftpStore, tmp_path: Path) -> None:
    local = LocalStore(tmp_path / "local")
    local.create()
    for one in (store, local):
        one.save(CONFIG, [b"x"])
        one.save(a_pack(), [b"content"])

    def shape(root: Path) -> set[tuple[str, int]]:
        return {(str(path.relative_to(root)), path.stat().st_mode) for path in root.rglob("*")}

    assert shape(on_disk(server, store)) == shape(Path(local.location))


def test_no_temporary_name_is_left(server: Sshd, store: SftpStore) -> None:
    store.save(a_pack(), [b"x"])
    with pytest.raises(AlreadyThere):
        store.save(a_pack(), [b"y"])
    assert [path.name for path in on_disk(server, store).rglob("*") if path.is_file()] == [a_pack().name]


def test_temporary_names_lie_in_their_own_folder_where_there_is_one(vault: Sshd) -> None:
    for store in a_store(vault, "/repositories/own-tmp"):
        make_write_once_folders(vault, "own-tmp")
        store.save(a_pack(), [b"x"])
        root = vault.root / "repositories" / "own-tmp"
        assert sorted(path.parent.name for path in root.rglob("*") if path.is_file()) == [a_pack().name[:2], "tmp"]
        (temporary,) = (root / "tmp").iterdir()
        assert temporary.samefile(root / "data" / a_pack().name[:2] / a_pack().name)


def test_a_tmp_folder_on_another_file_system_is_no_hindrance(server: Sshd, store: SftpStore) -> None:
    tmp = on_disk(server, store) / "tmp"
    tmp.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp], check=True)
    try:
        store.save(a_pack(), [b"x"])
        assert store.load(a_pack()) == b"x"
    finally:
        subprocess.run(["umount", "-l", tmp], check=True)


def test_leftovers_and_strangers_are_not_listed_and_old_leftovers_swept(server: Sshd, store: SftpStore) -> None:
    store.save(a_pack(), [b"x"])
    folder = on_disk(server, store) / "data" / a_pack().name[:2]
    old, young, foreign = (folder / f"{name}{TEMPORARY}1" for name in (a_pack().name, a_pack(b"2").name, "letter"))
    for path in (old, young, foreign):
        path.write_bytes(b"torn")
    (folder / ("b" * 64)).symlink_to("/etc/passwd")
    for path in (old, foreign):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert [name for name, _ in store.list(FileType.PACK)] == [a_pack().name]
    assert store.sweep(24 * 3600) == 0
    assert [name for name, _ in store.list(FileType.PACK)] == [a_pack().name]
    assert store.sweep(3600) == 1
    assert (old.exists(), young.exists(), foreign.exists()) == (False, True, True)


def test_a_shared_repository_stays_readable_by_its_group(server: Sshd, store: SftpStore) -> None:
    store.save(CONFIG, [b"x"])
    (on_disk(server, store) / "config").chmod(0o440)
    for again in a_store(server, str(on_disk(server, store))):
        again.save(a_pack(), [b"x"])
    assert (on_disk(server, store) / "data" / a_pack().name[:2] / a_pack().name).stat().st_mode & 0o777 == 0o440


def test_a_missing_data_folder_is_made_when_needed(server: Sshd, store: SftpStore) -> None:
    (on_disk(server, store) / "data" / a_pack().name[:2]).rmdir()
    assert list(store.list(FileType.PACK)) == []
    store.save(a_pack(), [b"x"])
    assert store.load(a_pack()) == b"x"


def test_a_write_once_target_without_folders_is_told_before_any_useless_one_is_made(vault: Sshd) -> None:
    for store in a_store(vault, "/repositories/none"):
        with pytest.raises(Denied, match="replicate setup") as caught:
            store.create()
        assert "write" in caught.value.message
    assert len(list((vault.root / "repositories" / "none").iterdir())) == 0


@pytest.mark.parametrize("size", [1, 261_119, 261_120, 261_121, 9_000_001])
def test_sizes_around_those_of_packets(store: SftpStore, size: int) -> None:
    data = os.urandom(size)
    store.save(a_pack(), [data[: size // 3], data[size // 3 :]])
    assert store.load(a_pack()) == data
    assert store.load(a_pack(), size // 2) == data[size // 2 :]
    assert store.load(a_pack(), size // 2, size - size // 2) == data[size // 2 :]


# what goes wrong


def test_a_full_server_is_no_space_and_leaves_nothing(server: Sshd) -> None:
    small = server.root / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], check=True)
    try:
        for store in a_store(server, f"{small}/repository"):
            store.create()
            with pytest.raises(NoSpace, match="no space left on the server") as caught:
                store.save(a_pack(), [bytes(9 << 20)])
            assert caught.value.permanent
            assert list(store.list(FileType.PACK)) == []
            store.save(a_pack(), [b"small"])
            assert store.load(a_pack()) == b"small"
            assert len([path for path in small.rglob("*") if path.is_file()]) == 1
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_what_the_server_refuses_is_denied(cage: Sshd) -> None:
    for store in a_store(cage, "/elsewhere"):
        with pytest.raises(Denied) as caught:
            store.create()
        assert caught.value.permanent
        assert "/elsewhere" in caught.value.message


def test_a_server_that_lets_nothing_be_named_says_so() -> None:
    with chrooted("internal-sftp -P hardlink,rename,posix-rename") as server:
        for store in a_store(server, "/repositories/r"):
            store.create()
            with pytest.raises(Denied, match="neither linking nor renaming"):
                store.save(a_pack(), [b"x"])
            assert list(store.list(FileType.PACK)) == []


def test_a_server_that_was_restarted_is_reached_again() -> None:
    with normal() as server:
        store = open_sftp(server.target(), patience_s=30)
        store.create()
        store.save(a_pack(b"1"), [b"1"])
        server.stop()
        later = threading.Timer(0.5, server.start)
        later.start()
        store.save(a_pack(b"2"), [b"2"])
        later.join()
        assert store.load(a_pack(b"1")) == b"1"
        store.close()


def test_a_server_that_stays_away_is_an_error_in_passing() -> None:
    with normal() as server:
        store = open_sftp(server.target(), patience_s=0.5)
        store.create()
        server.stop()
        with pytest.raises(StoreError) as caught:
            store.save(a_pack(), [b"x"])
        assert not caught.value.permanent
        store.close()


def test_connections_are_as_many_as_the_way_asks_for(server: Sshd) -> None:
    target = replace(server.target(), connections=0)
    near = SftpStore(target)
    near._round_trip_s = 0.0002
    assert near.connections == 2
    assert near.writers in {1, 2}
    with Proxy(server.port, delay_s=0.02) as proxy:
        server.pin(proxy.port)
        far = SftpStore(replace(target, port=proxy.port))
        list(far.list(FileType.CONFIG))
        assert (far.connections, far.writers) == (8, 8)
        far.close()
    decided = SftpStore(replace(target, connections=5))
    assert (decided.connections, decided.writers) == (5, 5)


def test_a_line_cut_again_and_again_loses_nothing(server: Sshd) -> None:
    """Every connection ends after a megabyte; all files arrive, each whole."""
    with Proxy(server.port, cut_after=1 << 20) as proxy:
        server.pin(proxy.port)
        target = server.target(port=proxy.port)
        direct = SftpStore(replace(target, port=server.port))
        direct.create()
        store = open_sftp(target, patience_s=60)
        files = {a_pack(bytes([n])): os.urandom(300_000) for n in range(12)}
        for handle, data in files.items():
            store.save(handle, [data])
        assert {handle: direct.load(handle) for handle in files} == files
        assert proxy.cuts >= 3
        store.close()
        direct.close()


def test_a_name_is_never_torn_wherever_the_line_is_cut(server: Sshd) -> None:
    """The line is cut at each of some places of one save; afterwards the file is there whole, or not at all."""
    data = os.urandom(200_000)
    with Proxy(server.port) as proxy:
        server.pin(proxy.port)
        target = server.target(port=proxy.port)
        direct = SftpStore(replace(target, port=server.port))
        direct.create()
        outcomes = set()
        for cut in [*range(0, 6000, 500), *range(6000, 230_000, 16_000), *range(204_000, 209_000, 150)]:
            proxy.cut_after = cut
            store = SftpStore(target)
            handle = Handle(FileType.PACK, hashlib.sha256(f"{cut}".encode()).hexdigest())
            try:
                store.save(handle, [data])
                said = True
            except StoreError as error:
                assert not error.permanent, error
                said = False
            store.close()
            there = (handle.name, len(data)) in list(direct.list(FileType.PACK))
            assert there or not said
            if there:
                assert direct.load(handle) == data
            outcomes.add((said, there))
        assert {(True, True), (False, False)} <= outcomes
        direct.close()


# the room on top of it


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    for number in range(40):
        (root / "sub" / f"{number}").write_bytes(os.urandom(1 << number % 20))
    (root / "big").write_bytes(os.urandom(20 << 20))
    return root


def restic_over_sftp(server: Sshd, target_path: str, tmp_path: Path, *words: str | Path) -> str:
    """The stock restic through the stock ssh, with our key and our pinned host key."""
    ssh = ["ssh", "-p", str(server.port), "-i", server.folder / "client_key", "-l", server.user]
    ssh += [
        "-o",
        f"UserKnownHostsFile={server.folder / 'known_hosts'}",
        "-o",
        "BatchMode=yes",
        "127.0.0.1",
        "-s",
        "sftp",
    ]
    done = subprocess.run(
        [
            "restic",
            "--no-cache",
            "-o",
            f"sftp.command={' '.join(map(str, ssh))}",
            "-r",
            f"sftp:x:{target_path}",
            *words,
        ],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def test_a_repository_lives_on_a_server_and_restic_reads_it_there(server: Sshd, tree: Path, tmp_path: Path) -> None:
    store = open_sftp(server.target())
    with pytest.raises(NoRepository):
        Repository.open(store, PASSWORD)
    repository = Repository.create(store, PASSWORD, cost=CHEAP)
    with pytest.raises(AlreadyRepository):
        Repository.create(store, PASSWORD, cost=CHEAP)
    with pytest.raises(WrongPassword):
        Repository.open(store, "wrong")
    with repository.lock():
        repository.load_index()
        name, report = Archiver(repository).snapshot([str(tree)], hostname="here")
    assert not report.unreadable
    again = Repository.open(store, PASSWORD)
    checked = Checker(again, read_data=True).check()
    assert (checked.problems, checked.losses) == ([], [])
    Restorer(again).restore(again.load_snapshot(name).tree, str(tmp_path / "restored"))
    assert (tmp_path / "restored" / str(tree)[1:] / "big").read_bytes() == (tree / "big").read_bytes()
    path = store.store._target.path
    store.close()
    restic_over_sftp(server, path, tmp_path, "check", "--read-data")
    restic_over_sftp(server, path, tmp_path, "restore", name, "--target", tmp_path / "theirs")
    assert subprocess.run(["diff", "-r", tree, tmp_path / "theirs" / str(tree)[1:]], check=False).returncode == 0
    restic_over_sftp(server, path, tmp_path, "backup", "--host", "here", tree)
    restic_over_sftp(server, path, tmp_path, "forget", "--keep-last", "1", "--prune")
    restic_over_sftp(server, path, tmp_path, "check", "--read-data")


def test_a_backup_straight_to_a_write_once_target_needs_no_lock(vault: Sshd, tree: Path, tmp_path: Path) -> None:
    make_write_once_folders(vault, "direct")
    store = open_sftp(vault.target("/repositories/direct"))
    repository = Repository.create(store, PASSWORD, cost=CHEAP)
    repository.load_index()
    name, _ = Archiver(repository).snapshot([str(tree)], hostname="here")
    store.close()
    words = ("--no-lock", "restore", name, "--target", tmp_path / "theirs")
    restic_over_sftp(vault, "/repositories/direct", tmp_path, *words)
    assert subprocess.run(["diff", "-r", tree, tmp_path / "theirs" / str(tree)[1:]], check=False).returncode == 0
    restic_over_sftp(vault, "/repositories/direct", tmp_path, "--no-lock", "check", "--read-data")
