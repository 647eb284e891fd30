"""Forget: exactly the decided snapshots go, a held group none, and stock restic agrees."""

import json
from pathlib import Path

import pytest

from actions.backup.errors import LockLost
from actions.backup.forget import forget, forget_ids, plan_forget
from actions.backup.hold import Facts
from actions.backup.repository import Repository
from actions.backup.retention import Policy
from actions.backup.selection import Selection
from actions.backup.snapshot import Snapshot
from actions.backup.times import format_time
from tests.actions.backup.conftest import Restic

NS = 10**9
DAY = 86400
NOW = 1_795_000_000


@pytest.fixture
def ids(repository: Repository) -> list[str]:
    """Ten days of two hosts, the newest first."""
    return [
        repository.save_snapshot(
            Snapshot(time=format_time((NOW - n * DAY) * NS), tree="0" * 64, paths=["/x"], hostname=f"h{n % 2}")
        )
        for n in range(20)
    ]


def left(repository: Repository) -> set[str]:
    return {id for id, _ in repository.snapshots()}


def test_what_the_policy_lets_go_goes(repository: Repository, ids: list[str], restic: Restic) -> None:
    reviewed = plan_forget(repository, Policy(last=3), now_ns=NOW * NS + NS)
    assert left(repository) == set(ids), "a plan changes nothing"
    with repository.lock(exclusive=True) as lock:
        gone = forget(repository, reviewed, lock)
    assert set(gone.ids) == set(ids[6:])
    assert list(gone.ids) == ids[:5:-1], (
        "the oldest go first: what a kill leaves is a shorter history, not one with a gap"
    )
    assert {s["id"] for s in json.loads(restic("snapshots", "--json").stdout)} == set(ids[:6])


def test_a_selection_limits_what_is_looked_at(repository: Repository, ids: list[str]) -> None:
    reviewed = plan_forget(repository, Policy(last=1), now_ns=NOW * NS + NS, selection=Selection(hosts=("h1",)))
    with repository.lock(exclusive=True) as lock:
        forget(repository, reviewed, lock)
    assert left(repository) == {*ids[::2], ids[1]}


def test_a_held_group_loses_nothing(repository: Repository, ids: list[str]) -> None:
    reviewed = plan_forget(repository, Policy(last=3), now_ns=NOW * NS + NS, facts=Facts(unproved=frozenset([ids[0]])))
    with repository.lock(exclusive=True) as lock:
        forget(repository, reviewed, lock)
    assert left(repository) == {*ids[::2], *ids[1:6:2]}


def test_snapshots_are_forgotten_by_id(repository: Repository, ids: list[str]) -> None:
    with repository.lock(exclusive=True) as lock:
        assert forget_ids(repository, [ids[3], "f" * 64, ids[3]], lock).ids == (ids[3],)
        lock._lost = "removed by somebody"
        with pytest.raises(LockLost):
            forget_ids(repository, [ids[4]], lock)
    assert left(repository) == set(ids) - {ids[3]}


def test_a_damaged_snapshot_is_named(repository: Repository, ids: list[str], where: Path) -> None:
    from actions.backup.errors import Damaged

    path = where / "snapshots" / ids[7]
    path.chmod(0o600)
    path.write_bytes(b"rubbish")
    with pytest.raises(Damaged, match=f"snapshot/{ids[7]}"):
        plan_forget(repository, Policy(last=3), now_ns=NOW * NS)
