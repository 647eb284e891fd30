"""The connections that sent much, as rows."""

from pathlib import Path

import pytest

from collectors.senders import Options, SendersCollector
from contracts.errors import Unavailable, Why
from contracts.host import Process, Processes, Sender, Senders
from contracts.snapshot import Snapshot
from host.fake import FakeHost

ONE = Sender(
    protocol="tcp", address="2001:db8::1", port=5000, peer="2001:db8::2", peer_port=443, bytes_sent=9 << 20, inode=5, pids=(7, 3)
)  # fmt: skip


def looked(tmp_path: Path, senders: Senders | Unavailable, most: int = 10):  # type: ignore[no-untyped-def]
    host = FakeHost(tmp_path)
    host.sockets.senders = senders
    host.processes.found = Processes(
        by_pid={
            7: Process(pid=7, name="child", started_ms=20),
            3: Process(
                pid=3, name="rsync", executable="/usr/bin/rsync", user="backup", unit="b.service", started_ms=10
            ),
        }
    )
    return SendersCollector(Options(most=most)).collect(host, Snapshot(subject="senders"))


def test_a_connection_is_a_row_with_the_process_that_began_first(tmp_path: Path) -> None:
    report = looked(tmp_path, Senders(connections=(ONE,)))
    (key, row), *rest = report.changes.put.items()
    assert not rest and key == "tcp [2001:db8::1]:5000 [2001:db8::2]:443" and report.blind == ()
    assert (row.process, row.user, row.unit, row.pids, row.owner_known) == (
        "rsync",
        "backup",
        "b.service",
        (7, 3),
        True,
    )


@pytest.mark.parametrize(("seen", "pids", "known"), [(True, (), True), (False, (), False), (True, (99,), False)])
def test_without_a_process_it_is_said_whether_there_is_none_or_none_was_seen(
    tmp_path: Path, seen: bool, pids: tuple[int, ...], known: bool
) -> None:
    gone = Sender(
        protocol="tcp", address="192.0.2.1", port=1, peer="192.0.2.2", peer_port=2, bytes_sent=9 << 20, pids=pids
    )
    (row,) = looked(tmp_path, Senders(connections=(gone,), owners_seen=seen)).changes.put.values()
    assert row.process == "" and row.owner_known is known


def test_connections_beyond_the_most_are_a_blind_spot_and_a_kernel_that_does_not_tell_is_no_empty_answer(
    tmp_path: Path,
) -> None:
    report = looked(tmp_path, Senders(connections=(ONE, ONE)), most=1)
    assert len(report.changes.put) == 1 and report.blind[0].why == Why.TOO_LARGE
    with pytest.raises(Unavailable):
        looked(tmp_path, Unavailable(Why.PERMISSION, "refused"))
