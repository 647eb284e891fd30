"""Unusual volume is joined with the process that sends it; what is not known is said so, and never guessed."""

from typing import Any

import pytest

from analysis.outbound import WAIT_MS, OutboundJudge
from contracts.event import Event, Severity
from contracts.judge import View
from contracts.runs import RunState
from contracts.snapshot import Snapshot, apply
from contracts.subjects.senders import Sender
from contracts.subjects.traffic import Outbound, Row

SENT = Outbound(
    subject="203.0.113.9:443/tcp", local="192.0.2.1", method="sent", protocol="tcp",
    bytes_out=5_000_000_000, usual_bytes=1000, began_ms=1, last_ms=50_000,
)  # fmt: skip
SERVED = Outbound(
    subject="2001:db8::9", local="[2001:db8::1]:22/tcp", method="served", protocol="tcp",
    bytes_out=30_000_000_000, usual_bytes=0, began_ms=1, last_ms=50_000,
)  # fmt: skip
CURL = Sender(
    address="192.0.2.1", port=40_000, peer="203.0.113.9", peer_port=443, bytes_sent=4_000_000_000,
    process="curl", executable="/usr/bin/curl", user="www-data", unit="app.service", pids=(77,),
)  # fmt: skip


def changed(one: Any, **fields: Any) -> Any:
    return type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | fields)


class Bench:
    """The judge with its memory."""

    def __init__(self) -> None:
        self.before: Snapshot[Any] = Snapshot(subject="outbound")

    def judge(
        self,
        finding: Outbound | None,
        *senders: Sender,
        at_ms: int = 50_100,
        now_ms: int = 50_200,
        run: RunState | None = RunState(collector="senders", every_s=900, outcome="ok"),  # noqa: B008
    ) -> list[Event]:
        rows = {"sensor": Row(what="sensor")}
        if finding is not None:
            rows["outbound x"] = Row(what="outbound", outbound=finding)
        view = View(
            snapshots={
                "traffic": Snapshot(subject="traffic", revision=1, rows=rows, at_ms=now_ms),
                "senders": Snapshot(
                    subject="senders", rows={str(number): one for number, one in enumerate(senders)}, at_ms=at_ms
                ),
                "agent.runs": Snapshot(subject="agent.runs", rows={} if run is None else {"senders": run}),
            },
            accepted={},
            now_ms=now_ms,
        )
        report = OutboundJudge().judge(view, self.before)
        self.before = Snapshot(subject="outbound", revision=1, rows=apply(self.before.rows, report.changes))
        for event in report.events:
            assert OutboundJudge.kinds[0].title.format(key=event.key, **event.fields)
        return list(report.events)


def test_the_process_whose_connection_has_these_ends_is_named_once() -> None:
    bench = Bench()
    elsewhere = changed(CURL, peer="203.0.113.10", process="other", bytes_sent=9_000_000_000)
    (event,) = bench.judge(SENT, elsewhere, CURL)
    fields = event.fields
    assert (fields["process"], fields["user"], fields["unit"], fields["pids"]) == (
        "curl",
        "www-data",
        "app.service",
        ["77"],
    )
    assert fields["owner"] == "/usr/bin/curl of www-data (app.service)" and fields["owner_known"] is True
    assert (fields["bytes_out"], fields["bytes_of_process"], event.severity) == (
        5_000_000_000,
        4_000_000_000,
        Severity.LOW,
    )
    assert bench.judge(SENT, CURL) == [], "it is told once"
    assert len(bench.judge(changed(SENT, last_ms=50_150), CURL, at_ms=50_160)) == 1, "another finding"
    assert bench.judge(None) == [] and bench.before.rows == {}


def test_what_a_client_fetched_is_joined_by_the_service_and_the_client() -> None:
    sshd = changed(
        CURL, address="2001:db8:0::1", port=22, peer="2001:db8::9", peer_port=5000, process="sshd", executable="/usr/sbin/sshd"
    )  # fmt: skip
    (event,) = Bench().judge(SERVED, changed(sshd, port=23), sshd)
    assert event.fields["process"] == "sshd" and event.fields["connections"] == 1


def test_several_processes_that_send_to_the_same_place_are_all_named_the_one_with_most_first() -> None:
    less = changed(CURL, port=1, process="rsync", executable="/usr/bin/rsync", bytes_sent=10, pids=(5,))
    (event,) = Bench().judge(SENT, less, CURL, changed(CURL, port=2, pids=(78,), bytes_sent=20))
    assert event.fields["process"] == "curl" and event.fields["pids"] == ["77", "78"]
    assert event.fields["others"] == ["/usr/bin/rsync of www-data (app.service)"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"executable": "/dev/shm/x"}, "anyone may write"), ({"executable_deleted": True}, "deleted")],
)
def test_a_process_that_is_suspicious_by_itself_weighs_more(fields: dict[str, Any], reason: str) -> None:
    (event,) = Bench().judge(SENT, changed(CURL, **fields))
    assert event.severity == Severity.HIGH and reason in str(event.fields["reasons"])


@pytest.mark.parametrize(
    ("senders", "more", "why"),
    [
        ((), {}, "is there any more"),
        ((changed(CURL, process="", pids=()),), {}, "no process holds"),
        ((changed(CURL, process="", owner_known=False),), {}, "may not be looked into"),
        ((changed(CURL, peer_port=80),), {}, "is there any more"),
        ((CURL,), {"at_ms": 49_000, "run": None}, "switched off"),
        (
            (CURL,),
            {"at_ms": 49_000, "run": RunState(collector="senders", every_s=1, outcome="failed", detail="no netlink", last_run_ms=50_100)},
            "no netlink",
        ),
        ((CURL,), {"at_ms": 49_000, "now_ms": 50_000 + WAIT_MS + 1}, "not been looked at since"),
    ],
)  # fmt: skip
def test_an_owner_that_is_not_known_is_said_not_to_be_and_why(
    senders: tuple[Sender, ...], more: dict[str, Any], why: str
) -> None:
    (event,) = Bench().judge(SENT, *senders, **more)
    assert event.fields["owner_known"] is False and why in str(event.fields["detail"]) and not event.fields["process"]
    assert event.severity == Severity.MEDIUM


def test_a_look_from_before_the_finding_is_not_taken_for_one_after_it() -> None:
    bench = Bench()
    assert bench.judge(SENT, CURL, at_ms=49_999) == []
    (event,) = bench.judge(SENT, CURL, at_ms=50_001)
    assert event.fields["process"] == "curl"
