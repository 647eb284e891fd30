"""Arrivals are told by the clock of the target, whatever the files say of themselves."""

import os
import time
from pathlib import Path

from actions.backup.arrivals import arrived_ns, spare_recent
from actions.backup.blobs import BlobType
from actions.backup.forget import plan_forget
from actions.backup.hold import Facts
from actions.backup.prune_plan import MaxUnused, PruneOptions, plan_prune
from actions.backup.repository import Repository
from actions.backup.retention import Policy
from actions.backup.snapshot import Snapshot
from actions.backup.times import format_time

DAY_NS = 86400 * 10**9


def test_a_snapshot_dated_back_is_seen_by_its_arrival(repository: Repository, where: Path) -> None:
    now = time.time_ns()
    for days in (9, 8, 7, 6):
        id = repository.save_snapshot(
            Snapshot(time=format_time(now - days * DAY_NS), tree="0" * 64, paths=["/x"], hostname="h")
        )
        os.utime(where / "snapshots" / id, ns=(now - days * DAY_NS, now - days * DAY_NS))
    arrived = arrived_ns(where)
    assert len(arrived) == 4
    assert all(abs(arrival - time.time_ns()) < 60 * 10**9 for arrival in arrived.values())
    reviewed = plan_forget(repository, Policy(last=2), now_ns=now, facts=Facts(arrived_ns=arrived))
    assert "4 snapshots are dated days before they arrived" in next(iter(reviewed.holds.values()))[0]


def test_a_pack_that_just_came_is_spared(repository: Repository, where: Path) -> None:
    saver = repository.saver()
    saver.save(BlobType.DATA, b"just replicated")
    saver.finish()
    for path in (where / "index").iterdir():
        path.unlink()
    repository.load_index()
    recent = PruneOptions(MaxUnused(0.0), spare=spare_recent(where, 3600))
    old = PruneOptions(MaxUnused(0.0), spare=spare_recent(where, -60))
    assert plan_prune(repository, recent).unnamed == []
    assert len(plan_prune(repository, old).unnamed) == 1
    assert spare_recent(where, -60)("f" * 64), "what cannot be looked at is spared"
