"""The policy of a command line is restic's; `tests/agent/cli/test_backup_keep.py` tests what is done."""

from pathlib import Path

import pytest

from actions.backup.archiver import Archiver
from actions.backup.desk import Desk
from actions.backup.hold import Held
from actions.backup.repository import Repository
from actions.backup.retention import Duration, Policy
from actions.backup.selection import Selection
from contracts.errors import UsageError


def test_counts_spans_and_tags_make_a_policy(repository: Repository) -> None:
    desk = Desk(repository)
    policy = desk.policy({"last": 2, "daily": -1}, {"within": "1d", "within_weekly": "2m"}, ["a,b"])
    assert policy == Policy(
        last=2, daily=-1, within=Duration(days=1), within_weekly=Duration(months=2), tags=(("a", "b"),)
    )
    with pytest.raises(UsageError):
        desk.policy({"last": -2}, {}, [])


def test_a_policy_that_keeps_nothing_is_held(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    repository.load_index()
    Archiver(repository).snapshot([str(tmp_path / "f")], hostname="here")
    desk = Desk(repository)
    policy = desk.policy({}, {}, ["nobody has this"])
    with pytest.raises(Held, match="keeps none"):
        desk.forget(policy, "host", Selection(), force=False)
    assert len(desk.snapshots()) == 1
    assert desk.locks() == []
