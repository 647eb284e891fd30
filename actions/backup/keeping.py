"""Keeping: what a person does with a repository itself: check and repair it, remove snapshots, prune, keys, locks."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actions.backup.checker import Checked, Checker
from actions.backup.forget import Forgotten, forget, forget_ids, plan_forget
from actions.backup.hold import SUSPECTED_TAG, Facts, Held, Reviewed
from actions.backup.key_admin import KeyRow, key_add, key_list, key_remove
from actions.backup.locks import LockFile, read_locks, remove_stale_locks
from actions.backup.memory import recall_in
from actions.backup.prune import Pruned, prune
from actions.backup.prune_plan import Plan, PruneOptions, parse_max_unused, parse_size, plan_prune
from actions.backup.recovery_key import MadeKey, RecoveryState, load_states, make_recovery_key, nag, prove, save_states
from actions.backup.repair import Repaired, repair
from actions.backup.repository import Repository
from actions.backup.retention import Policy, parse_duration, parse_grouping
from actions.backup.selection import Selection, find_snapshot, select
from actions.backup.stores.store import FileType, Handle
from actions.backup.subset import parse_subset
from actions.backup.target_prune import TargetPruned, prune_target
from actions.backup.tripwire.book import path_in, recall
from contracts.errors import UsageError
from contracts.host import Files as HostFiles

_ACKNOWLEDGE = "look at it, then `holdfast backup acknowledge`"
_PROVE = "run `holdfast backup prove`, or look at it yourself and give --even-when-held"


class Keeping:
    """The part of a desk that keeps a repository in order; each method takes the lock that it needs, for which `wait_s` is waited."""

    repository: Repository
    wait_s: float
    known: Facts = Facts()
    """What the agent's tripwire knows of the job whose repository this is."""
    proofs: tuple[Selection, frozenset[str]] | None = None
    """The snapshots of that job, and which of them the agent has proved; None where nobody has kept account of it."""

    def know(self, job: str, hostname: str, folders: Sequence[str], files: HostFiles) -> None:
        """Take up what the worker remembers of a job of this host, in one of `folders`; Unavailable when it may not be read."""
        for folder in folders:
            known = recall(files, path_in(folder, job)).facts()
            if known.standing or not self.known.standing:
                self.known = known
            if (memory := recall_in(files, folder, job)) is not None:
                self.proofs = Selection(hosts=(hostname,), tags=((job,),)), frozenset(memory.proved)

    def check(self, *, read_data: bool, subset: str = "", fix: bool = False) -> tuple[Checked, Repaired | None]:
        """Check everything, or the data of a subset of packs; with `fix` repair what was found, which takes an exclusive lock."""
        with self.repository.lock(exclusive=fix, wait_s=self.wait_s) as lock:
            chosen = None
            if subset:
                packs = dict(self.repository.store.list(FileType.PACK))
                chosen = parse_subset(subset).choose(packs, random.SystemRandom()) if packs else frozenset()
            checked = Checker(self.repository, read_data=read_data or bool(subset), chosen=chosen).check()
            if not fix or not checked.problems:
                return checked, None
            return checked, repair(self.repository, checked, lock)

    def policy(self, counts: Mapping[str, int], spans: Mapping[str, str], tags: Sequence[str]) -> Policy:
        """The policy of `--keep-…`: counts by word, spans by `within…`, tags as `a,b`; UsageError."""
        numbers: dict[str, Any] = {**counts, **{name: parse_duration(span) for name, span in spans.items()}}
        return Policy(
            **numbers,
            tags=tuple(tuple(tag for tag in each.split(",") if tag) for each in tags),
        )

    def plan_forget(self, policy: Policy, grouping: str, chosen: Selection) -> Reviewed:
        """What a policy would remove; nothing is changed."""
        return plan_forget(
            self.repository,
            policy,
            now_ns=time.time_ns(),
            facts=replace(self.known, unproved=self._unproved()),
            selection=chosen,
            grouping=parse_grouping(grouping),
        )

    def _unproved(self) -> frozenset[str]:
        """The snapshots of the job that the agent was to prove, and has not."""
        if self.proofs is None:
            return frozenset()
        own, proved = self.proofs
        return frozenset(id for id, _ in select(self.repository, own) if id not in proved)

    def _newest_unproved(self) -> str:
        """The newest snapshot of some of the job's paths that nothing speaks against, when it is not proved; else ""."""
        if self.proofs is None:
            return ""
        newest: dict[tuple[str, ...], tuple[int, str]] = {}
        for id, snapshot in select(self.repository, self.proofs[0]):
            if SUSPECTED_TAG not in snapshot.tags or id in self.known.cleared:
                paths = tuple(snapshot.paths)
                newest[paths] = max(newest.get(paths, (0, "")), (snapshot.time_ns, id))
        return next((id for _, id in newest.values() if id not in self.proofs[1]), "")

    def forget(self, policy: Policy, grouping: str, chosen: Selection, *, force: bool) -> tuple[Reviewed, Forgotten]:
        """Remove what a policy does not keep. Held for a suspicious history, unless a person who has looked says `force`."""
        with self.repository.lock(exclusive=True, wait_s=self.wait_s) as lock:
            reviewed = self.plan_forget(policy, grouping, chosen)
            if force and not self.known.standing:
                reviewed = Reviewed(reviewed.groups, {})
            reviewed.refuse_when_held()
            return reviewed, forget(self.repository, reviewed, lock)

    def retire_target(self, policy: Policy, grouping: str) -> TargetPruned:
        """A policy and a prune on a target that another host adds to, in its own directory there; UsageError for any other place."""
        if not self.repository.store.location.startswith("/"):
            raise UsageError(
                "only the directory of a target is pruned so", advice="run it on the server of the target, as root"
            )
        return prune_target(self.repository, policy, grouping=grouping, facts=self.known)

    def forget_ids(self, words: Sequence[str]) -> Forgotten:
        """Remove the snapshots that are named."""
        with self.repository.lock(exclusive=True, wait_s=self.wait_s) as lock:
            ids = [find_snapshot(self.repository, word)[0] for word in words]
            for id in ids:
                if self.known.standing and id in self.known.pinned:
                    raise Held(f"snapshot {id[:8]} stays: it is {self.known.pinned[id]}", advice=_ACKNOWLEDGE)
            return forget_ids(self.repository, ids, lock)

    def prune(
        self, max_unused: str, max_repack: str, *, dry_run: bool, force: bool, tell: Callable[[str, int, int], None]
    ) -> tuple[Plan, Pruned | None]:
        """Remove what no snapshot needs; with `dry_run` only say what would go.

        Held while an anomaly is suspected and, unless a person who has looked says `force`, while the newest snapshot is not proved.
        """
        if self.known.standing and not dry_run:
            raise Held(f"nothing is pruned: {self.known.standing}", advice=_ACKNOWLEDGE)
        if not (dry_run or force) and (id := self._newest_unproved()):
            raise Held(f"nothing is pruned: the newest good snapshot {id[:8]} is not proved to restore", advice=_PROVE)
        options = PruneOptions(
            max_unused=parse_max_unused(max_unused), max_repack_bytes=parse_size(max_repack) if max_repack else None
        )
        with self.repository.lock(exclusive=True, wait_s=self.wait_s) as lock:
            self.repository.load_index()
            plan = plan_prune(self.repository, options)
            return plan, None if dry_run else prune(self.repository, plan, lock, tell)

    def keys(self) -> list[KeyRow]:
        """The keys that open it."""
        return key_list(self.repository)

    def add_key(self, password: str) -> str:
        """Let one more password open it; returns the id of its key."""
        return key_add(self.repository, password)

    def remove_key(self, word: str) -> str:
        """Remove a key; LastKey for the one in use and the last one."""
        return key_remove(self.repository, word)

    def make_recovery_key(self, states: Path) -> MadeKey:
        """Add a key to be printed, and remember in the file `states` that it was never proved."""
        known = load_states(states)
        if not states.parent.is_dir():
            states.parent.mkdir(mode=0o700, parents=True)
        made = make_recovery_key(self.repository)
        save_states(states, {**known, self.repository.config.id: RecoveryState(made.key_id, time.time_ns())})
        return made

    def prove_recovery_key(self, typed: str, states: Path) -> str:
        """Open the repository with what was typed from the paper, and remember that it worked; returns the id of the key."""
        known = load_states(states)
        id = self.repository.config.id
        state = prove(self.repository.store, typed, time.time_ns(), known.get(id))
        save_states(states, {**known, id: state})
        return state.key_id

    def nag(self, states: Path) -> str:
        """Why its owner must be reminded of the recovery key, "" when all is well."""
        keys = frozenset(row.id for row in self.keys())
        return nag(load_states(states).get(self.repository.config.id), keys, time.time_ns())

    def locks(self) -> list[LockFile]:
        """The locks that are there."""
        return list(read_locks(self.repository.files)[0].values())

    def unlock(self, *, all_locks: bool) -> int:
        """Remove locks that are left over, or all; returns how many went."""
        if not all_locks:
            return len(remove_stale_locks(self.repository.files))
        names = [name for name, _ in self.repository.store.list(FileType.LOCK)]
        for name in names:
            self.repository.store.remove(Handle(FileType.LOCK, name))
        return len(names)
