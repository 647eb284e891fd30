"""After a run what the settings do not keep goes, and nothing goes while the newest snapshot is not proved."""

import time
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.options import KeepOptions
from actions.backup.repository import Repository
from actions.backup.retention import Duration
from actions.backup.retiring import policy_of, retire
from tests.actions.backup.conftest import Restic

DAY_NS = 86_400 * 10**9


@pytest.fixture
def history(repository: Repository, tmp_path: Path) -> list[str]:
    """Ten days of one job, the oldest first, and one snapshot of another job."""
    (tmp_path / "source").mkdir()
    ids = []
    for age in range(9, -1, -1):
        (tmp_path / "source" / "file").write_text(f"{age} days ago" * 100)
        repository.load_index()
        id, _ = Archiver(repository).snapshot(
            [str(tmp_path / "source")], hostname="here", tags=["etc"], time_ns=time.time_ns() - age * DAY_NS
        )
        ids.append(id)
    Archiver(repository).snapshot(
        [str(tmp_path / "source")], hostname="here", tags=["other"], time_ns=time.time_ns() - 20 * DAY_NS
    )
    return ids


def test_the_settings_are_restics_policy() -> None:
    policy = policy_of(KeepOptions(last=1, hourly=2, daily=3, weekly=4, monthly=5, yearly=6, within="1y2m3d4h"))
    assert (policy.last, policy.hourly, policy.daily, policy.weekly, policy.monthly, policy.yearly) == (
        1,
        2,
        3,
        4,
        5,
        6,
    )
    assert policy.within == Duration(1, 2, 3, 4)
    assert policy_of(KeepOptions()).empty


def test_what_is_not_kept_goes_and_so_does_what_only_it_needed(
    repository: Repository, history: list[str], restic: Restic
) -> None:
    done = retire(repository, "etc", "here", KeepOptions(last=3), frozenset(history), prune_now=True)
    assert (done.removed, done.kept, done.held, done.pruned) == (7, 3, "", True)
    left = {name for name, _ in repository.snapshots()}
    assert set(history[-3:]) < left
    assert len(left) == 4, "the other job's snapshot is not this job's to remove"
    restic("check", "--read-data")


def test_while_the_newest_is_not_proved_nothing_goes(repository: Repository, history: list[str]) -> None:
    done = retire(repository, "etc", "here", KeepOptions(last=3), frozenset(history[:-1]), prune_now=True)
    assert (done.removed, done.pruned) == (0, False)
    assert "not proved" in done.held
    assert len(list(repository.snapshots())) == 11


def test_without_a_policy_everything_stays_and_nothing_is_locked(repository: Repository, history: list[str]) -> None:
    with repository.lock():
        done = retire(repository, "etc", "here", KeepOptions(), frozenset(), prune_now=True)
    assert (done.removed, done.kept) == (0, 0)
