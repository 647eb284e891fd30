"""Forget: remove snapshots, by decision of a reviewed policy or by their ids. What only they used stays until a prune."""

from collections.abc import Sequence
from dataclasses import dataclass

from actions.backup.hold import Facts, Limits, Reviewed, review
from actions.backup.locks import Lock
from actions.backup.repository import Repository
from actions.backup.retention import Grouping, Policy, decide
from actions.backup.selection import Selection, select
from actions.backup.stores.store import FileType, Handle, NotThere


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The ids of the snapshots that were removed."""

    ids: tuple[str, ...]


def plan_forget(
    repository: Repository,
    policy: Policy,
    *,
    now_ns: int,
    facts: Facts | None = None,
    selection: Selection | None = None,
    grouping: Grouping | None = None,
    limits: Limits | None = None,
) -> Reviewed:
    """Which snapshots would go, which stay and why, and which groups are held. Changes nothing: the dry run is this alone."""
    groups = decide(select(repository, selection), policy, now_ns=now_ns, grouping=grouping)
    return review(groups, facts or Facts(), now_ns, limits)


def forget(repository: Repository, reviewed: Reviewed, lock: Lock) -> Forgotten:
    """Remove what a review lets go, the oldest first; groups that are held lose nothing. The lock must be exclusive and held."""
    by_age = sorted(
        (decision.snapshot.time_ns, decision.id)
        for group in reviewed.groups
        for decision in group.decisions
        if not decision.keep and group.key not in reviewed.holds
    )
    return forget_ids(repository, [id for _, id in by_age], lock)


def forget_ids(repository: Repository, ids: Sequence[str], lock: Lock) -> Forgotten:
    """Remove snapshots by their whole ids; one that is gone already is no error. LockLost when the lock is no more ours."""
    gone = []
    for id in ids:
        lock.check()
        try:
            repository.store.remove(Handle(FileType.SNAPSHOT, id))
        except NotThere:
            continue
        gone.append(id)
    return Forgotten(tuple(gone))
