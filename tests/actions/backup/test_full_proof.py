"""A restore of everything, compared to the last bit: it can fail, and it says what root alone can prove."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from actions.backup.archiver import Archiver, Choices
from actions.backup.blobs import BlobType
from actions.backup.filters import Filter
from actions.backup.full_proof import FullProof, NoRoom, Prover, TooSlow, longest_gap, plain_node
from actions.backup.repository import Repository
from actions.backup.restorer import Restorer, find_tree
from analysis.excludes import Excludes
from tests.actions.backup.odd_tree import make


@pytest.fixture
def made(repository: Repository, tmp_path: Path) -> str:
    make(tmp_path / "tree")
    repository.load_index()
    id, _ = Archiver(repository).snapshot([str(tmp_path / "tree")], hostname="here", tags=["etc"])
    repository.load_index()
    return id


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_root_proves_everything_with_owners_and_devices(repository: Repository, made: str, scratch: Path) -> None:
    proof = Prover(repository, str(scratch)).prove([made])
    assert (proof.holds, proof.privileged, proof.not_proved, proof.failed) == (True, True, 0, [])
    assert (proof.files, proof.snapshots) == (19, [made])
    assert proof.bytes > 30_000_000
    assert proof.seconds > 0
    assert 0 <= proof.age_s < 120
    assert list(scratch.iterdir()) == []


def test_a_damaged_pack_fails_it_and_every_file_that_needs_it_is_named(
    repository: Repository, made: str, scratch: Path, where: Path
) -> None:
    place = next(
        repository.index.find(blob.type, blob.id)[0]
        for _, blob in repository.index.blobs()
        if blob.type is BlobType.DATA and blob.plain_length > 500_000
    )
    pack = where / "data" / place.pack.hex()[:2] / place.pack.hex()
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[place.offset + 5] ^= 1
    pack.write_bytes(data)
    proof = Prover(repository, str(scratch)).prove([made])
    assert not proof.holds
    assert proof.problems == len(proof.failed) >= 1
    assert all(b"big" in told.path for told in proof.failed)
    assert place.pack.hex() in proof.failed[0].what
    assert list(scratch.iterdir()) == []


def test_what_came_back_otherwise_is_named_with_how(
    repository: Repository, made: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody changes what was restored before it is compared, as a broken restorer would."""
    real = Restorer.restore

    def spoiled(self: Restorer, tree: str, target: str) -> object:
        done = real(self, tree, target)
        root = Path(target) / (tmp_path / "tree").relative_to("/")
        (root / "big text").chmod(0o666)
        os.chown(root / "big random", 1, 2)
        os.truncate(root / "zeros", 5)
        (root / "dangling").unlink()
        (root / "null").unlink()
        os.mknod(root / "null", 0o020666, os.makedev(1, 5))
        (root / "hard link").unlink()
        (root / "hard link").write_bytes((root / "plain").read_bytes())
        os.removexattr(root / "zeros", "user.bytes")
        return done

    monkeypatch.setattr(Restorer, "restore", spoiled)
    proof = Prover(repository, str(scratch)).prove([made])
    said = {os.path.basename(told.path): told.what for told in proof.failed}
    words = " ".join(told.what for told in proof.failed)
    assert not proof.holds
    assert {b"big text", b"big random", b"zeros", b"dangling", b"null", b"hard link"} <= set(said)
    for part in ("mode", "belongs to 1:2", "bytes, it had", "not restored", "device", "file of its own", "user.bytes"):
        assert part in words, words


def test_who_is_not_root_proves_content_and_says_what_is_left(repository: Repository, made: str, entered: Path) -> None:
    scratch, where = entered / "scratch", entered / "repository"
    scratch.mkdir()
    scratch.chmod(0o777)
    shutil.copytree(repository.store.location, where)
    subprocess.run(["chmod", "-R", "a+rX", where], check=True)
    script = f"""
import os, sys
import actions.backup.full_proof as module
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
repository = Repository.open(LocalStore({str(where)!r}), "correct horse")
repository.load_index()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
proof = module.Prover(repository, {str(scratch)!r}).prove([{made!r}])
print(proof.holds, proof.privileged, proof.not_proved > 4, proof.files, proof.failed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(None, 4) == ["True", "False", "True", "19", "[]\n"], done.stdout
    assert list(scratch.iterdir()) == []


def test_without_room_nothing_is_written_and_both_numbers_are_said(
    repository: Repository, made: str, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=1000", "tmpfs", small], check=True)
    try:
        with pytest.raises(NoRoom) as error:
            Prover(repository, str(small)).prove([made])
        assert error.value.needed > 30_000_000 > 8 << 20 >= error.value.free
        assert list(small.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=20", small], check=True)
        with pytest.raises(NoRoom, match="inodes"):
            Prover(repository, str(small)).prove([made])
        subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=1000", small], check=True)
        with pytest.raises(NoRoom):
            Prover(repository, str(small), reserve=190 << 20).prove([made])
    finally:
        subprocess.run(["umount", small], check=True)


def test_it_gives_up_after_its_limit_and_wiped_what_it_made(repository: Repository, made: str, scratch: Path) -> None:
    with pytest.raises(TooSlow):
        Prover(repository, str(scratch), time_limit_s=0.0001).prove([made])
    assert list(scratch.iterdir()) == []


def test_waiting_for_others_is_not_time_to_restore(repository: Repository, made: str, scratch: Path) -> None:
    told: list[int] = []

    def wait() -> float:
        time.sleep(0.01)
        return 0.01

    proof = Prover(repository, str(scratch), wait=wait, tell=told.append).prove([made])
    assert proof.paused_s > 0.3
    assert proof.seconds < 60
    assert told == sorted(told)


def test_nothing_to_restore_proves_nothing(repository: Repository, scratch: Path) -> None:
    assert not Prover(repository, str(scratch)).prove([]).holds
    assert not FullProof().holds


def test_the_longest_gap_is_between_snapshots_and_since_the_last(repository: Repository, made: str) -> None:
    day_ns = 86400 * 1_000_000_000
    now_ns = time.time_ns()
    snapshot = repository.load_snapshot(made)
    for days, tags in ((9, ["etc"]), (4, ["etc"]), (3, ["other"]), (1, ["etc", "recovery-sheet"]), (40, ["etc"])):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now_ns - days * day_ns) / 1e9))
        repository.save_snapshot(msgspec.structs.replace(snapshot, time=moment, tags=tags))
    assert longest_gap(repository, "here", "etc", "recovery-sheet", now_ns) == pytest.approx(5 * 86400, abs=5)
    later = longest_gap(repository, "here", "etc", "recovery-sheet", now_ns + 7 * day_ns)
    assert later == pytest.approx(7 * 86400, abs=10)


def test_the_plain_part_of_a_node_is_the_node_itself_where_nothing_is_left_out(
    repository: Repository, made: str, tmp_path: Path
) -> None:
    tree = find_tree(repository, repository.load_snapshot(made).tree, str(tmp_path / "tree"))
    nodes = dict(repository.load_tree(bytes.fromhex(tree)))
    assert plain_node(nodes[b"plain"]) is nodes[b"plain"]
    assert plain_node(nodes[b"null"]) is None
    setuid = plain_node(nodes[b"a<b>&c"])
    assert setuid is not None
    assert (nodes[b"a<b>&c"].permissions, setuid.permissions) == (0o4755, 0o755)
    zeros = plain_node(nodes[b"zeros"])
    assert zeros is not None
    assert sorted(each.name for each in zeros.extended_attributes) == ["user.bytes", "user.empty", "user.naïve"]


def loses(*names: str) -> Choices:
    """Choices by which these names never reach a snapshot, as a defect of the archiver would have it."""
    return Choices(excluded=lambda path, _: os.path.basename(path).decode() in names)


@pytest.mark.parametrize("partial", [False, True])
def test_what_was_never_saved_fails_it_by_name_in_every_directory(
    repository: Repository, scratch: Path, tmp_path: Path, partial: bool
) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for name in ("kept", "lost", "sub/lost", "sub/left.o"):
        (root / name).write_text(name)
    repository.load_index()
    archiver = Archiver(repository, loses("lost", "left.o"))
    id, _ = archiver.snapshot([str(root)], hostname="here", tags=["partial"] if partial else [])
    repository.load_index()
    choices = Choices(excluded=Filter(Excludes(["*.o"])))
    proof = Prover(repository, str(scratch), choices=choices).prove([id])
    lost = {os.fsencode(root / "lost"), os.fsencode(root / "sub" / "lost")}
    assert {told.path for told in proof.failed} == (set() if partial else lost), (
        "what a run could not read is told already"
    )
    (root / "sub" / "later").touch()
    (root / "later").touch()
    assert Prover(repository, str(scratch), choices=choices).prove([id]).holds, "they changed since, and say nothing"
