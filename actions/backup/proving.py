"""Proving: files of a snapshot, chosen by lot, are restored from the store as it is, read back, and compared with their hashes and sources.

The choice goes down from the root by lot, so that it costs no walk through the whole snapshot. What was changed since the backup is
compared with the repository's own hashes alone; what was not must also be the same as its source.
"""

import hashlib
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from actions.backup.archiver import Told
from actions.backup.blobs import BlobType
from actions.backup.dump import content
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node, same_source
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot

_TRIES = 20
"""So many ways down for each file that is wanted, since some end in an empty directory or at a file that was chosen already."""

_PIECE = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Chosen(NamedTuple):
    """A file of the snapshot."""

    path: bytes
    node: Node


@dataclass(slots=True)
class Proof:
    """What came of it: files and bytes restored, how many of them were the same as their source, and what is wrong.

    `parts` counts files too large for the limit, of which as much was read back as it allows.
    """

    files: int = 0
    parts: int = 0
    bytes: int = 0
    same_as_source: int = 0
    failed: list[Told] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether something was restored and all of it was right."""
        return self.files + self.parts > 0 and not self.failed


def prove(
    repository: Repository, snapshot: Snapshot, scratch: str, *, files: int, max_bytes: int, dice: random.Random
) -> Proof:
    """Restore up to `files` files below `max_bytes` into files of the private folder `scratch`, one after another; nothing is left there.

    Where every file that was met is too large, the beginning of one is read back. The index must be loaded.
    """
    proof = Proof()
    try:
        for chosen in choose(repository, snapshot.tree, files, max_bytes, dice):
            try:
                _prove_one(repository, chosen, scratch, proof)
            except (Damaged, NoSuchBlob, OSError) as error:
                proof.failed.append(Told(chosen.path, str(error)))
        if not proof.files and not proof.failed:
            ways = (_down(repository, snapshot.tree, dice) for _ in range(_TRIES))
            large = next((chosen for chosen in ways if chosen is not None), None)
            if large is not None:
                _prove_part(repository, large, max_bytes, proof)
    except (Damaged, NoSuchBlob) as error:
        proof.failed.append(Told(b"/", str(error)))
    return proof


def choose(repository: Repository, tree: str, files: int, max_bytes: int, dice: random.Random) -> Iterator[Chosen]:
    """Files by lot, each once, as long as they fit; Damaged or NoSuchBlob for a directory that cannot be read."""
    seen: set[bytes] = set()
    left = max_bytes
    for _ in range(files * _TRIES):
        if len(seen) >= files:
            return
        chosen = _down(repository, tree, dice)
        if chosen is None or chosen.path in seen or chosen.node.size > left:
            continue
        seen.add(chosen.path)
        left -= chosen.node.size
        yield chosen


def _down(repository: Repository, tree: str, dice: random.Random) -> Chosen | None:
    """Go down by lot until a file; None where there is none."""
    path = b""
    while True:
        nodes = [
            (name, node) for name, node in repository.load_tree(bytes.fromhex(tree)) if node.type in {"file", "dir"}
        ]
        if not nodes:
            return None
        name, node = dice.choice(nodes)
        path += b"/" + name
        if node.type == "file":
            return Chosen(path, node)
        if node.subtree is None:
            raise Damaged(os.fsdecode(path), "the directory has no tree")
        tree = node.subtree


def _prove_one(repository: Repository, chosen: Chosen, scratch: str, proof: Proof) -> None:
    place = Path(scratch) / "restored"
    wanted = hashlib.sha256()
    try:
        with os.fdopen(os.open(place, _NEW, 0o600), "wb") as file:
            for part in content(repository, chosen.node):
                wanted.update(part)
                file.write(part)
        restored = _digest(os.open(place, os.O_RDONLY | os.O_CLOEXEC))
    finally:
        place.unlink(missing_ok=True)
    if restored != wanted.digest():
        raise Damaged(os.fsdecode(chosen.path), "what was restored does not read back the same")
    _compare_with_source(chosen, restored, proof)
    proof.files += 1
    proof.bytes += chosen.node.size


def _prove_part(repository: Repository, chosen: Chosen, max_bytes: int, proof: Proof) -> None:
    """Read back the beginning of a file; every blob is verified by its hash."""
    for id in chosen.node.content or ():
        proof.bytes += len(repository.load_blob(BlobType.DATA, bytes.fromhex(id)))
        if proof.bytes >= max_bytes:
            break
    proof.parts += 1


def _compare_with_source(chosen: Chosen, restored: bytes, proof: Proof) -> None:
    """Where the source is still what was saved, its content must be, too; Damaged when it is not."""
    try:
        descriptor = os.open(chosen.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # it is gone, or a dump that was never a file here
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not same_source(chosen.node, status):
        os.close(descriptor)
        return
    if _digest(descriptor) == restored:
        proof.same_as_source += 1
        return
    try:
        after = os.lstat(chosen.path)
    except OSError:
        return  # it is gone by now
    if same_source(chosen.node, after):
        raise Damaged(os.fsdecode(chosen.path), "what was restored is not what its unchanged source holds")


def _digest(descriptor: int) -> bytes:
    digest = hashlib.sha256()
    try:
        while piece := os.read(descriptor, _PIECE):
            digest.update(piece)
    finally:
        os.close(descriptor)
    return digest.digest()
