"""All parts together; of a part that was not wholly seen nothing that was known goes away."""

from pathlib import Path

import pytest

from collectors.holdings.collector import HoldingsCollector
from collectors.holdings.options import Options
from contracts.collector import Report
from contracts.snapshot import Snapshot, apply
from contracts.subjects.holdings import UNKNOWN, Holding
from host.fake import FakeHost

MOUNTS = "21 1 254:1 / / rw - ext4 /dev/vda1 rw\n24 21 8:17 / /srv rw - xfs /dev/sdb1 rw\n"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    (tmp_path / "files/proc/1").mkdir(parents=True)
    (tmp_path / "files/proc/1/mountinfo").write_text(MOUNTS)
    (tmp_path / "files/etc").mkdir()
    (tmp_path / "files/etc/fstab").write_text("x")
    return FakeHost(tmp_path)


def look(host: FakeHost, before: dict[str, Holding]) -> tuple[Report[Holding], dict[str, Holding]]:
    report = HoldingsCollector(Options()).collect(host, Snapshot(subject="holdings", rows=before))
    return report, apply(before, report.changes)


def test_a_second_look_at_the_same_host_changes_nothing(host: FakeHost) -> None:
    report, rows = look(host, {})
    assert {row.path for row in rows.values()} == {"/", "/srv", "/etc"}
    assert report.blind == ()
    assert not look(host, rows)[0].changes


def test_a_part_that_cannot_be_seen_keeps_its_rows_and_says_so(host: FakeHost) -> None:
    _, rows = look(host, {})
    host.files.denied |= {"/proc/1/mountinfo", "/proc/self/mountinfo"}
    report, after = look(host, rows)
    assert "mounts mount /srv" in after
    assert after["mounts unknown mounts"].kind == UNKNOWN
    assert "may not be read" in report.blind[0].detail
    host.files.denied.clear()
    assert look(host, after)[1] == rows


def test_what_is_gone_from_a_part_that_was_seen_goes(host: FakeHost, tmp_path: Path) -> None:
    _, rows = look(host, {})
    (tmp_path / "files/proc/1/mountinfo").write_text(MOUNTS.splitlines()[0])
    assert "mounts mount /srv" not in look(host, rows)[1]
