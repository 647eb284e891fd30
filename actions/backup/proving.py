"""Proving: files of a snapshot, chosen by lot, are restored from the store as it is, read back, and compared with their hashes and sources.

The choice goes down from the root by lot, so that it costs no walk through the whole snapshot. What was changed since the backup is
compared with the repository's own hashes alone; what was not must also be the same as its source, and a directory on the way that was not
must be listed in the snapshot to the last name.
"""

import hashlib
import os
import random
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from actions.backup.archiver import Choices, Told
from actions.backup.blobs import BlobType
from actions.backup.dump import content
from actions.backup.errors import Damaged, NoSuchBlob
from actions.backup.node import Node, same_folder, same_source
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot

_TRIES = 20
"""So many ways down for each file that is wanted, since some end in an empty directory or at a file that was chosen already."""

SHARE = 0.01
LEAST = 8 << 20
"""A proof restores no more than this share of the backup's bytes, but so much of a small one."""

_PIECE = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Chosen(NamedTuple):
    """A file of the snapshot."""

    path: bytes
    node: Node


class Listed(NamedTuple):
    """A directory of the snapshot that was passed, with the names of its entries there."""

    path: bytes
    node: Node
    names: frozenset[bytes]


@dataclass(slots=True)
class Proof:
    """What came of it: files and bytes restored, how many of them were the same as their source, and what is wrong.

    `parts` counts files too large for the limit, of which one piece was read back; `listed` directories compared with their source.
    """

    files: int = 0
    parts: int = 0
    bytes: int = 0
    same_as_source: int = 0
    listed: int = 0
    failed: list[Told] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether something was restored and all of it was right."""
        return self.files + self.parts > 0 and not self.failed


def prove(
    repository: Repository,
    snapshot: Snapshot,
    scratch: str,
    *,
    files: int,
    max_bytes: int,
    dice: random.Random,
    choices: Choices | None = None,
) -> Proof:
    """Restore up to `files` files into files of the private folder `scratch`, one after another; nothing is left there.

    No more than `max_bytes` is restored, nor than one percent of a large backup; of a file beyond that one piece is read back. With the
    `choices` of the backup, what is missing from directories is found, too. The index must be loaded.
    """
    proof = Proof()
    total = snapshot.summary.get("total_bytes_processed")
    if isinstance(total, int):
        max_bytes = min(max_bytes, max(LEAST, int(SHARE * total)))
    passed: dict[bytes, Listed] = {}
    try:
        for chosen in choose(repository, snapshot.tree, files, dice, passed):
            try:
                if chosen.node.size <= max_bytes - proof.bytes:
                    _prove_one(repository, chosen, scratch, proof)
                elif proof.bytes < max_bytes:
                    _prove_part(repository, chosen, dice, proof)
            except (Damaged, NoSuchBlob, OSError) as error:
                proof.failed.append(Told(chosen.path, str(error)))
    except (Damaged, NoSuchBlob) as error:
        proof.failed.append(Told(b"/", str(error)))
    if choices is not None:
        for listed in passed.values():
            if is_inside(listed.path, snapshot.paths):
                compare_names(listed, choices, proof)
    return proof


def choose(
    repository: Repository, tree: str, files: int, dice: random.Random, passed: dict[bytes, Listed] | None = None
) -> Iterator[Chosen]:
    """Files by lot, each once; Damaged or NoSuchBlob for a directory that cannot be read. Directories on the way are put into `passed`."""
    seen: set[bytes] = set()
    for _ in range(files * _TRIES):
        if len(seen) >= files:
            return
        chosen = _down(repository, tree, dice, passed if passed is not None else {})
        if chosen is None or chosen.path in seen:
            continue
        seen.add(chosen.path)
        yield chosen


def _down(repository: Repository, tree: str, dice: random.Random, passed: dict[bytes, Listed]) -> Chosen | None:
    """Go down by lot until a file; None where there is none."""
    path, above = b"", None
    while True:
        entries = repository.load_tree(bytes.fromhex(tree))
        if above is not None and path not in passed:
            passed[path] = Listed(path, above, frozenset(name for name, _ in entries))
        nodes = [(name, node) for name, node in entries if node.type in {"file", "dir"}]
        if not nodes:
            return None
        name, node = dice.choice(nodes)
        path += b"/" + name
        if node.type == "file":
            return Chosen(path, node)
        if node.subtree is None:
            raise Damaged(os.fsdecode(path), "the directory has no tree")
        tree, above = node.subtree, node


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


def _prove_part(repository: Repository, chosen: Chosen, dice: random.Random, proof: Proof) -> None:
    """Read back one piece of a file, by lot; it is verified by its hash."""
    if chosen.node.content:
        proof.bytes += len(repository.load_blob(BlobType.DATA, bytes.fromhex(dice.choice(chosen.node.content))))
    proof.parts += 1


def is_inside(path: bytes, saved: Sequence[str]) -> bool:
    """Whether a directory was saved whole, not only as the way to what was."""
    roots = [os.fsencode(root).rstrip(b"/") for root in saved]
    return any(path == root or path.startswith(root + b"/") for root in roots)


def compare_names(listed: Listed, choices: Choices, proof: Proof) -> None:
    """Where a directory is still what it was, each of its names must be in the snapshot, or left out by the choices."""
    try:
        before = os.lstat(listed.path)
        if not same_folder(listed.node, before):
            return
        names = os.listdir(listed.path)  # noqa: PTH208 (names as bytes)
        if any(name in names for name, _ in choices.tags):
            return  # of a tagged directory only the tag is kept
        missing = [name for name in names if name not in listed.names]
        left_out = {name for name in missing if _is_left_out(listed.path + b"/" + name, choices)}
        if not same_folder(listed.node, os.lstat(listed.path)):
            return
    except OSError:
        return  # it went meanwhile, or may not be looked at: the backup itself has reported that
    proof.listed += 1
    for name in missing:
        if name not in left_out:
            proof.failed.append(
                Told(listed.path + b"/" + name, "is not in the snapshot, though its directory did not change since")
            )


def _is_left_out(path: bytes, choices: Choices) -> bool:
    status = os.lstat(path)
    return stat.S_ISSOCK(status.st_mode) or choices.excluded(path, status)


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
