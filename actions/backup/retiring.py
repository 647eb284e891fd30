"""Retiring: after a run, the snapshots that the job's settings do not keep go, and now and then what only they needed; or it is held."""

import time
from dataclasses import dataclass, replace

from actions.backup.forget import forget, plan_forget
from actions.backup.hold import Facts
from actions.backup.options import KeepOptions
from actions.backup.prune import prune
from actions.backup.prune_plan import PruneOptions, plan_prune
from actions.backup.repository import Repository
from actions.backup.retention import Duration, Policy, parse_duration
from actions.backup.selection import Selection, select

LOCK_WAIT_S = 600.0


@dataclass(slots=True)
class Retired:
    """What went and what stays; `held` says why nothing went of some groups. `pruned` when what nothing needs was removed, too."""

    removed: int = 0
    kept: int = 0
    bytes_freed: int = 0
    pruned: bool = False
    held: str = ""


def policy_of(keep: KeepOptions) -> Policy:
    """The policy that the settings describe."""
    return Policy(
        last=keep.last,
        hourly=keep.hourly,
        daily=keep.daily,
        weekly=keep.weekly,
        monthly=keep.monthly,
        yearly=keep.yearly,
        within=parse_duration(keep.within) if keep.within else Duration(),
    )


def retire(
    repository: Repository,
    job: str,
    hostname: str,
    keep: KeepOptions,
    proved: frozenset[str],
    *,
    prune_now: bool,
    known: Facts | None = None,
) -> Retired:
    """Apply the policy to the snapshots of this job and host under an exclusive lock. `proved` are those that were restored.

    `known` is what else is known of them; while a suspicion stands nothing is removed or pruned.
    """
    policy = policy_of(keep)
    if policy.empty:
        return Retired()
    known = known or Facts()
    if known.standing:
        return Retired(held=known.standing)
    selection = Selection(hosts=(hostname,), tags=((job,),))
    with repository.lock(exclusive=True, wait_s=LOCK_WAIT_S) as lock:
        own = select(repository, selection)
        facts = replace(known, unproved=frozenset(id for id, _ in own if id not in proved))
        reviewed = plan_forget(repository, policy, now_ns=time.time_ns(), facts=facts, selection=selection)
        held = "; ".join(reason for reasons in reviewed.holds.values() for reason in reasons)
        gone = forget(repository, reviewed, lock).ids
        retired = Retired(removed=len(gone), kept=len(own) - len(gone), held=held)
        if prune_now and not held:
            repository.load_index()
            retired.bytes_freed = prune(repository, plan_prune(repository, PruneOptions()), lock).bytes_freed
            retired.pruned = True
    return retired
