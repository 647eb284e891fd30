"""Target prune: retention on the side of a write-once target, by its owner, with a key of his own, in its directory there.

The host that sends copies can only add, so what comes from it is trusted in nothing: rubbish is removed first, dates are held against the
times at which files came, a suspicious history is refused as a whole, and packs that came lately stay, for a run may be about to name them.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from actions.backup.arrivals import arrived_ns, spare_recent
from actions.backup.errors import Damaged
from actions.backup.forget import Forgotten, forget, plan_forget
from actions.backup.hold import Facts
from actions.backup.prune import Pruned, prune
from actions.backup.prune_plan import PruneOptions, plan_prune
from actions.backup.repository import Repository
from actions.backup.retention import Policy, parse_grouping
from actions.backup.rubbish import clear_locks, find_rubbish, rebuild_index, remove_rubbish
from actions.backup.stores.store import FileType, Handle

SPARE_S = 86400.0
"""A replication that was begun longer ago than this has ended."""


@dataclass(slots=True)
class TargetPruned:
    """What was done: locks and files removed that no key holder wrote, snapshots, packs; `doubtful` is what may be damage and stayed."""

    locks: list[str] = field(default_factory=list)
    rubbish: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    forgotten: Forgotten = field(default_factory=lambda: Forgotten(()))
    pruned: Pruned = field(default_factory=Pruned)


def prune_target(
    repository: Repository,
    policy: Policy,
    *,
    grouping: str = "host,paths",
    spare_s: float = SPARE_S,
    facts: Facts | None = None,
) -> TargetPruned:
    """Apply a policy to a repository in a local directory, to which another host adds meanwhile.

    Held for a suspicious history, Damaged where a snapshot may be damage: then nothing but rubbish was removed. An index that does not
    read is made anew from the packs.
    """
    root = Path(repository.store.location)
    with _as_owner(root):
        return _prune(repository, root, policy, grouping, spare_s, facts or Facts())


def _prune(
    repository: Repository, root: Path, policy: Policy, grouping: str, spare_s: float, facts: Facts
) -> TargetPruned:
    done = TargetPruned(locks=clear_locks(repository.files))
    with repository.lock(exclusive=True) as lock:
        found = find_rubbish(repository)
        done.rubbish = [str(handle) for handle in remove_rubbish(repository, found, lock)]
        doubtful = [rubbish.handle for rubbish in found if not rubbish.foreign]
        _refuse_snapshots(doubtful)
        if any(handle.type is FileType.INDEX for handle in doubtful):
            rebuilt = rebuild_index(repository, lock)  # which needs none of them
            done.rubbish += [str(handle) for handle in doubtful if handle.type is FileType.INDEX]
            done.doubtful = [error.where for error in rebuilt.unreadable]
        done.doubtful += [str(handle) for handle in doubtful if handle.type is not FileType.INDEX]
        repository.load_index()
        known = replace(facts, arrived_ns=arrived_ns(root))
        reviewed = plan_forget(
            repository, policy, now_ns=time.time_ns(), facts=known, grouping=parse_grouping(grouping)
        )
        reviewed.refuse_when_held()
        done.forgotten = forget(repository, reviewed, lock)
        repository.load_index()
        done.pruned = prune(repository, plan_prune(repository, PruneOptions(spare=spare_recent(root, spare_s))), lock)
    return done


def _refuse_snapshots(doubtful: Sequence[Handle]) -> None:
    """Damaged names a snapshot that may be one of ours, changed: what only it needs would go."""
    for handle in doubtful:
        if handle.type is FileType.SNAPSHOT:
            raise Damaged(
                str(handle),
                "its SHA-256 is not its name: damaged, or put there by somebody else; nothing was removed but rubbish",
                advice="remove the file: where the host's own repository has a snapshot of this name, its next run copies it again",
            )


@contextmanager
def _as_owner(root: Path) -> Iterator[None]:
    """As the account that the copies belong to where root runs this: files of root's could not be read over SFTP any more.

    This is of the whole process: no other thread may need root meanwhile.
    """
    status = (root / "config").stat()
    if os.geteuid() != 0 or status.st_uid == 0:
        yield
        return
    group = os.getegid()
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
