"""The saver: each blob once, nothing lost at a kill, errors of the store never swallowed, memory bounded."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from actions.backup.blobs import BlobType
from actions.backup.ids import id_of
from actions.backup.repository import Repository
from actions.backup.saver import Saver
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import Buffer, FileType, Handle, NoSpace, NotThere
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic

KILLS = int(os.environ.get("HOLDFAST_BACKUP_KILLS", "30"))
SEED = int(os.environ.get("HOLDFAST_SEED", "20261121"))


def test_what_is_saved_is_read_again_by_a_new_process(where: Path, version: int) -> None:
    repository = Repository.create(LocalStore(where), PASSWORD, version=version, cost=CHEAP)
    dice = random.Random(1)
    blobs = [dice.randbytes(dice.randrange(1, 50_000)) * dice.choice([1, 10]) for _ in range(300)]
    saver = repository.saver()
    ids = [saver.save(BlobType(number % 2), blob)[0] for number, blob in enumerate(blobs)]
    saved = saver.finish()
    assert saved.blobs == 300
    again = Repository.open(LocalStore(where), PASSWORD)
    again.load_index()
    for number, (id, blob) in enumerate(zip(ids, blobs, strict=True)):
        assert id == id_of(blob)
        assert again.load_blob(BlobType(number % 2), id) == blob


def test_a_blob_is_stored_once(repository: Repository) -> None:
    saver = repository.saver()
    first = saver.save(BlobType.DATA, b"same" * 1000)
    second = saver.save(BlobType.DATA, bytearray(b"same" * 1000))
    other = saver.save(BlobType.TREE, b"same" * 1000)
    saver.finish()
    assert (first[1], second[1], other[1]) == (True, False, True)
    assert len(repository.index) == 2
    again = repository.saver()
    assert again.save(BlobType.DATA, b"same" * 1000)[1] is False
    assert again.finish().packs == 0


def test_what_does_not_shrink_is_stored_as_it_is(repository: Repository) -> None:
    saver = repository.saver()
    dense, thin = saver.save(BlobType.DATA, os.urandom(5000))[0], saver.save(BlobType.DATA, bytes(5000))[0]
    saver.finish()
    assert repository.index.find(BlobType.DATA, dense)[0].uncompressed_length == 0
    assert repository.index.find(BlobType.DATA, thin)[0].uncompressed_length == 5000
    assert (
        repository.index.plain_length(BlobType.DATA, dense)
        == repository.index.plain_length(BlobType.DATA, thin)
        == 5000
    )


def test_packs_are_closed_at_their_size_and_hold_one_type(repository: Repository, restic: Restic) -> None:
    saver = repository.saver()
    for _ in range(50):
        saver.save(BlobType.DATA, os.urandom(1 << 20))
        saver.save(BlobType.TREE, os.urandom(1000))
    saver.finish()
    sizes = sorted(size for _, size in repository.store.list(FileType.PACK))
    assert len(sizes) == 5
    assert sizes[-1] < 18 << 20
    types = {
        pack: {blob.type for other, blob in repository.index.blobs() if other == pack}
        for pack in repository.index.packs()
    }
    assert all(len(found) == 1 for found in types.values())
    restic("check", "--read-data")


class _Failing:
    """A store on which packs cannot be saved after the first one."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._left = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        if handle.type is FileType.PACK:
            self._left -= 1
            if self._left < 0:
                raise NoSpace("the place is full")
        self._store.save(handle, parts)


def test_an_error_of_the_store_stops_the_saver_and_keeps_what_is_there(
    repository: Repository, where: Path, restic: Restic
) -> None:
    failing = _Failing(LocalStore(where))
    repository.files.store = failing  # type: ignore[assignment]
    saver = repository.saver()
    with pytest.raises(NoSpace):
        for _ in range(100):
            saver.save(BlobType.DATA, os.urandom(1 << 20))
        saver.flush()
    with pytest.raises(NoSpace):
        saver.save(BlobType.DATA, b"more")
    with pytest.raises(NoSpace):
        saver.finish()
    restic("check", "--read-data")
    again = Repository.open(LocalStore(where), PASSWORD)
    again.load_index()
    assert again.adopt() == (1, [])
    assert len(again.index) >= 15


def test_an_abandoned_saver_ends_its_threads(repository: Repository) -> None:
    saver = repository.saver()
    saver.save(BlobType.DATA, b"x")
    saver.close()
    assert not any(thread.is_alive() for thread in saver._threads)
    with pytest.raises(RuntimeError):
        saver.save(BlobType.DATA, b"y")


def test_memory_stays_bounded(where: Path) -> None:
    Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
    code = f"""
import os
from pathlib import Path
from actions.backup.blobs import BlobType
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
r = Repository.open(LocalStore({str(where)!r}), {PASSWORD!r})
s = r.saver()
for _ in range(400):
    s.save(BlobType.DATA, os.urandom(1 << 20))
s.finish()
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])  # ru_maxrss would be that of pytest
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 130_000


_WRITER = """
import random, sys
from actions.backup import pack, saver
from actions.backup.blobs import BlobType
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stores.local import LocalStore
from actions.backup.node import Node
from actions.backup.tree import encode_tree
pack.TARGET_SIZE = 200_000
saver.INDEX_EVERY_S = 0.02
r = Repository.open(LocalStore(sys.argv[1]), sys.argv[2])
lock = r.lock()
r.load_index()
adopted, damaged = r.adopt()
dice = random.Random(int(sys.argv[3]))
now = "2026-01-01T00:00:00Z"
print("go", adopted, len(damaged), flush=True)
while True:
    s = r.saver()
    nodes = []
    for number in range(20):
        data = dice.randbytes(dice.randrange(1, 60_000))
        id = s.save(BlobType.DATA, data)[0].hex()
        nodes.append(Node(name=f"f{number}", type="file", mtime=now, atime=now, ctime=now, uid=0, gid=0, size=len(data), content=[id]))
    tree = s.save(BlobType.TREE, encode_tree(nodes))[0].hex()
    s.finish()
    print("snapshot", r.save_snapshot(Snapshot(time=now, tree=tree, paths=["/x"], hostname="h")), flush=True)
"""


def test_kill_at_random_moments_never_harms_and_loses_no_pack(
    repository: Repository, where: Path, restic: Restic
) -> None:
    dice = random.Random(SEED)
    reported: set[str] = set()
    adopted = 0
    for turn in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, where, PASSWORD, str(SEED + turn)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert writer.stdout is not None
        assert writer.stderr is not None
        first = writer.stdout.readline().split()
        assert first[:1] == [b"go"], writer.stderr.read()
        assert first[2] == b"0"
        adopted += int(first[1])
        # The last may save a snapshot first, however slow this machine is.
        whole = writer.stdout.readline() if turn == KILLS - 1 else b""
        time.sleep(dice.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        rest = whole + writer.stdout.read()
        errors = writer.stderr.read()
        writer.wait()
        writer.stdout.close()
        writer.stderr.close()
        assert errors == b""
        reported |= {
            line.split()[1].decode() for line in rest.splitlines() if line.startswith(b"snapshot ") and len(line) == 73
        }
        again = Repository.open(LocalStore(where), PASSWORD)
        again.load_index()
        found = dict(again.snapshots())
        assert reported <= set(found)
        if turn % 10 == 9 or turn == KILLS - 1:
            restic("unlock")
            said = restic("check", "--read-data").stdout
            assert b"no errors were found" in said
    assert reported
    assert adopted, "no kill came between a pack and its index: the test has lost its teeth"


def test_packs_that_no_index_names_are_taken_up_again(repository: Repository, where: Path, restic: Restic) -> None:
    saver = repository.saver()
    id = saver.save(BlobType.DATA, b"survivor" * 100)[0]
    saver.finish()
    for index in (where / "index").iterdir():
        index.unlink()
    torn = where / "data" / "00" / ("00" * 32)
    torn.write_bytes(b"not a pack at all, published by a store that lied")
    again = Repository.open(LocalStore(where), PASSWORD)
    again.load_index()
    assert not again.index.has(BlobType.DATA, id)
    taken, damaged = again.adopt()
    assert taken == 1
    assert [problem.where for problem in damaged] == [f"data/{'00' * 32}"]
    assert again.load_blob(BlobType.DATA, id) == b"survivor" * 100
    torn.unlink()
    restic("check", "--read-data")


def test_a_pack_that_vanishes_while_it_is_taken_up_is_passed_over(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = repository.saver()
    saver.save(BlobType.DATA, b"x")
    saver.finish()
    repository.index.__init__()  # type: ignore[misc]

    def gone(*_: object) -> bytes:
        raise NotThere("gone")

    monkeypatch.setattr(LocalStore, "load", gone)
    assert repository.adopt() == (0, [])


def test_saver_needs_no_more_than_one_worker(repository: Repository) -> None:
    saver = Saver(repository.files, repository.key, repository.index, compressed=True, workers=1)
    ids = [saver.save(BlobType.DATA, os.urandom(100_000))[0] for _ in range(20)]
    saver.finish()
    assert all(repository.index.has(BlobType.DATA, id) for id in ids)
