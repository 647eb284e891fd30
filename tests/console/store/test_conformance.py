"""What every store promises, run against each implementation in `conftest.IMPLEMENTATIONS`."""

from typing import Any

import msgspec
import pytest

from console.store.interface import RefusedReport, Stored
from console.store.records import EventFilter, FindingKind, LoginLink, Role, Session, State, User
from contracts.errors import UsageError
from contracts.event import Lane, Loss, Severity
from contracts.wire import Batch, LanePart, SubjectPart

A, B = "a" * 32, "b" * 32
NOW = 1_700_000_100_000


@pytest.fixture
def store(tried: Any, facts: Any) -> Any:
    """The store with agent A in it."""
    assert tried.admit(A, facts=facts())
    return tried.store


def test_a_report_is_stored_and_answered_with_what_is_held(tried: Any, store: Any, lanes: Any, beat: Any) -> None:
    batch = Batch(agent=A, heartbeat=beat(), lanes=(lanes(A).part(3), lanes(A, lane=Lane.CRITICAL).part(1)))
    stored = tried.do(store.append(A, batch, NOW))
    assert isinstance(stored, Stored)
    assert stored.lanes == {Lane.NORMAL: 3, Lane.CRITICAL: 1}
    assert stored.new_events == 4
    page = tried.do(store.events(EventFilter()))
    assert sorted(row.envelope.seq for row in page.events) == [1, 1, 2, 3]
    assert page.events[0].hostname == "web-1"


def test_the_same_report_again_changes_nothing(tried: Any, store: Any, lanes: Any) -> None:
    batch = Batch(agent=A, lanes=(lanes(A).part(3),))
    tried.do(store.append(A, batch, NOW))
    again = tried.do(store.append(A, batch, NOW + 1))
    assert isinstance(again, Stored)
    assert again.new_events == 0
    tried.reopen()
    assert tried.do(tried.store.append(A, batch, NOW + 2)).lanes == {Lane.NORMAL: 3}
    assert len(tried.do(tried.store.events(EventFilter())).events) == 3


def test_the_same_report_twice_at_once_is_stored_once(tried: Any, store: Any, lanes: Any) -> None:
    batch = Batch(agent=A, lanes=(lanes(A).part(20),))
    results = tried.together([store.append(A, batch, NOW) for _ in range(20)])
    assert sum(result.new_events for result in results) == 20
    assert len(tried.do(store.events(EventFilter(), limit=100)).events) == 20


def test_another_body_at_a_held_number_is_refused_and_remembered(tried: Any, store: Any, lanes: Any) -> None:
    tried.do(store.append(A, Batch(agent=A, lanes=(lanes(A).part(2),)), NOW))
    forged = lanes(A).part(2, key="tcp 4444")
    refused = tried.do(store.append(A, Batch(agent=A, lanes=(forged,)), NOW))
    assert isinstance(refused, RefusedReport)
    assert (refused.status, refused.finding, refused.lanes) == (409, FindingKind.CONFLICT, {Lane.NORMAL: 2})
    tried.do(store.append(A, Batch(agent=A, lanes=(forged,)), NOW + 5))
    (found,) = tried.do(store.findings(A, open_only=True))
    assert (found.kind, found.count, found.lane, found.last_ms) == (FindingKind.CONFLICT, 2, Lane.NORMAL, NOW + 5)
    assert tried.do(store.agents(NOW))[0].problems == 1
    assert tried.do(store.acknowledge_finding(found.number, "user:x", NOW))
    assert not tried.do(store.acknowledge_finding(found.number, "user:x", NOW))
    assert tried.do(store.findings(A, open_only=True)) == ()


def test_a_refused_report_stores_nothing_but_the_sign_of_life(tried: Any, store: Any, lanes: Any, beat: Any) -> None:
    good, gap = lanes(A, lane=Lane.CRITICAL).part(1), lanes(A, seq=7).part(1)
    rows = SubjectPart(subject="ports", base=0, revision=1, put={"k": b"{}"})
    refused = tried.do(store.append(A, Batch(agent=A, heartbeat=beat(), lanes=(good, gap), subjects=(rows,)), NOW))
    assert refused.status == 409
    assert tried.do(store.events(EventFilter())).events == ()
    assert tried.do(store.subject(A, "ports")) is None
    assert tried.do(store.agent(A, NOW)).agent.heartbeat_ms == NOW


def test_a_gap_is_closed_by_what_was_missing(tried: Any, store: Any, lanes: Any) -> None:
    lane = lanes(A)
    first, second, third = lane.part(1), lane.part(1), lane.part(1)
    tried.do(store.append(A, Batch(agent=A, lanes=(first,)), NOW))
    assert tried.do(store.append(A, Batch(agent=A, lanes=(third,)), NOW)).finding is FindingKind.GAP
    assert len(tried.do(store.findings(A, open_only=True))) == 1
    tried.reopen()
    for part in (second, third):
        assert isinstance(tried.do(tried.store.append(A, Batch(agent=A, lanes=(part,)), NOW)), Stored)
    assert tried.do(tried.store.findings(A, open_only=True)) == ()


def test_losses_are_counted_and_shown_explained_or_not(tried: Any, store: Any, lanes: Any) -> None:
    lane = lanes(A)
    gone = lane.part(4)
    fields = {"first": 1, "last": 4, "count": 4}
    after = lane.event(kind="agent.events_lost", fields=fields)
    loss = Loss(first=1, last=4, count=4, chain=gone.items[-1].chain)
    tried.do(
        store.append(A, Batch(agent=A, lanes=(LanePart(lane=Lane.NORMAL, previous=b"0" * 32, items=(loss,)),)), NOW)
    )
    (row,) = tried.do(store.losses(A))
    assert (row.first, row.last, row.count, row.explained) == (1, 4, 4, False)
    explained = LanePart(lane=Lane.NORMAL, previous=loss.chain, items=(after,))
    assert isinstance(tried.do(store.append(A, Batch(agent=A, lanes=(explained,)), NOW)), Stored)
    assert tried.do(store.losses(A))[0].explained
    assert tried.do(store.agents(NOW))[0].lost == 4


def test_a_new_epoch_is_taken_and_shown_as_a_break(tried: Any, store: Any, lanes: Any) -> None:
    tried.do(store.append(A, Batch(agent=A, lanes=(lanes(A).part(3),)), NOW))
    anew = lanes(A, seq=99)
    stored = tried.do(store.append(A, Batch(agent=A, lanes=(anew.part(1, kind="agent.spool_set_aside"),)), NOW))
    assert stored.new_findings == (FindingKind.NEW_EPOCH,)
    assert tried.do(store.append(A, Batch(agent=A, lanes=(anew.part(1),)), NOW)).lanes == {Lane.NORMAL: 101}
    assert "after record 3 and before 100" in tried.do(store.findings(A))[0].detail


def test_strangers_and_revoked_agents_are_refused(tried: Any, store: Any, beat: Any) -> None:
    assert tried.do(store.append(B, Batch(agent=B, heartbeat=beat()), NOW)).status == 403
    assert tried.do(store.revoke_agent(A, NOW))
    assert not tried.do(store.revoke_agent(A, NOW))
    assert tried.do(store.append(A, Batch(agent=A, heartbeat=beat()), NOW)).status == 403
    assert tried.do(store.agents(NOW))[0].state is State.REVOKED


def test_rows_follow_their_revisions(tried: Any, store: Any) -> None:
    def send(**fields: Any) -> Any:
        return tried.do(store.append(A, Batch(agent=A, subjects=(SubjectPart(subject="ports", **fields),)), NOW))

    assert send(base=0, revision=3, put={"a": b"1", "b": b"2"}, at_ms=5).subjects == {"ports": 3}
    assert send(base=3, revision=4, put={"c": b"3"}, removed=("a",)).changed_subjects == ("ports",)
    assert send(base=3, revision=4, put={"c": b"3"}, removed=("a",)).changed_subjects == ()
    refused = send(base=7, revision=8, put={"d": b"4"})
    assert (refused.status, refused.subjects) == (409, {"ports": 4})
    held = tried.do(store.subject(A, "ports"))
    assert (held.rows, held.revision, held.complete) == ({"b": b"2", "c": b"3"}, 4, True)
    send(base=0, revision=1, put={"z": b"9"})
    assert tried.do(store.subject(A, "ports")).rows == {"z": b"9"}


def test_pages_of_a_large_change_are_applied_together(tried: Any, store: Any) -> None:
    def send(**fields: Any) -> Any:
        part = SubjectPart(subject="ports", **fields)
        return tried.do(tried.store.append(A, Batch(agent=A, subjects=(part,)), NOW))

    send(base=0, revision=1, put={"old": b"0"})
    assert send(base=1, revision=5, put={"stray": b"x"}, more=True).subjects == {"ports": 1}
    assert send(base=1, revision=6, put={"a": b"1"}, removed=("old",), more=True).subjects == {"ports": 1}
    held = tried.do(tried.store.subject(A, "ports"))
    assert (held.rows, held.complete) == ({"old": b"0"}, False)
    tried.reopen()
    assert send(base=1, revision=6, put={"b": b"2"}).subjects == {"ports": 6}
    assert tried.do(tried.store.subject(A, "ports")).rows == {"a": b"1", "b": b"2"}


def test_events_are_found_by_every_filter_and_paged_newest_first(
    tried: Any, store: Any, facts: Any, lanes: Any
) -> None:
    assert tried.admit(B, "02", facts=facts("db-1"))
    lane = lanes(A)
    for number in range(7):
        kind = "firewall.ruleset_flushed" if number == 3 else "ports.listener_opened"
        severity = Severity.HIGH if number == 3 else Severity.LOW
        part = lane.part(1, kind=kind, key=f"tcp 50%_{number}", severity=severity, observed_ms=NOW - 1000 * number)
        tried.do(store.append(A, Batch(agent=A, lanes=(part,)), NOW))
    tried.do(store.append(B, Batch(agent=B, lanes=(lanes(B).part(1, observed_ms=NOW - 10**9),)), NOW))

    def keys(**wanted: Any) -> list[str]:
        return [row.envelope.event.key for row in tried.do(store.events(EventFilter(**wanted))).events]

    assert len(keys()) == 8
    assert keys(agent=B) == ["tcp 22"]
    assert keys(kind="firewall.ruleset_flushed") == keys(kind="firewall.") == keys(severity_min=4) == ["tcp 50%_3"]
    assert keys(text="50%_5") == ["tcp 50%_5"]
    assert keys(text="50%X5") == []
    assert keys(lane=Lane.BULK) == []
    assert keys(since_ms=NOW - 1500) == ["tcp 50%_0", "tcp 50%_1"]
    assert keys(until_ms=NOW - 10**8) == ["tcp 22"]
    seen, cursor = [], ""
    while True:
        page = tried.do(store.events(EventFilter(agent=A), limit=3, cursor=cursor))
        seen += [row.envelope.event.key for row in page.events]
        cursor = page.next
        if not cursor:
            break
    assert seen == [f"tcp 50%_{number}" for number in range(7)]
    with pytest.raises(UsageError):
        tried.do(store.events(EventFilter(), cursor="1; DROP TABLE"))
    assert sum(one.count for one in tried.do(store.event_counts(NOW - 10_000_000, A))) == 7
    assert tried.do(store.agents(NOW))[0].severe_24h + tried.do(store.agents(NOW))[1].severe_24h == 1


def test_heartbeats_keep_the_latest_and_the_minutes(tried: Any, store: Any, beat: Any) -> None:
    hour = NOW - NOW % 3_600_000
    for minute in (0, 0, 1, 59):
        sent = beat(hostname=f"web-{minute}")
        tried.do(store.append(A, Batch(agent=A, heartbeat=sent), hour + minute * 60_000 + 5))
    (one,) = tried.do(store.presence(A, hour))
    assert one.minutes == 1 | 2 | 1 << 59
    detail = tried.do(store.agent(A, hour + 59 * 60_000 + 10))
    assert detail.heartbeat.facts.hostname == "web-59"
    assert detail.agent.state is State.UP
    assert tried.do(store.agents(hour + 59 * 60_000 + 50_000))[0].state is State.LATE
    assert tried.do(store.agents(hour + 59 * 60_000 + 500_000))[0].state is State.DOWN


def test_an_agent_that_cannot_see_is_degraded(tried: Any, store: Any, beat: Any) -> None:
    tried.do(store.append(A, Batch(agent=A, heartbeat=beat(state="unseen")), NOW))
    agent = tried.do(store.agents(NOW))[0]
    assert (agent.state, agent.sights.unseen) == (State.DEGRADED, 1)


def test_odd_numbers_and_texts_do_not_break_the_store(tried: Any, store: Any, beat: Any) -> None:
    odd = msgspec.structs.replace(beat(hostname="a\0b" * 1000), every_s=float("nan"), uptime_s=float("inf"))
    assert isinstance(tried.do(store.append(A, Batch(agent=A, heartbeat=odd), NOW)), Stored)
    assert tried.do(store.agent(A, NOW)).agent.every_s == 30.0


def test_a_token_admits_once_and_only_the_same_key(tried: Any, store: Any, facts: Any, certificate: Any) -> None:
    assert not tried.do(store.enrol("t01", certificate(B, "09"), facts(), "1", 500))
    assert not tried.admit(A, "03", key=b"other".ljust(32), facts=facts())
    assert tried.admit(A, "04", facts=facts())
    used = tried.do(store.token(b"01".ljust(32, b".")))
    assert (used.agent, used.serial, used.used_ms) == (A, "01", 500)
    assert not tried.do(store.revoke_token("t01", 1))
    assert [one.serial for one in tried.do(store.certificates(A))] == ["01", "04"]


def test_identities_change_their_version_with_every_change(tried: Any, store: Any, certificate: Any) -> None:
    first, found = tried.do(store.identities())
    assert found[0].serials == frozenset({"01"})
    assert tried.do(store.add_certificate(certificate(A, "0A")))
    assert not tried.do(store.add_certificate(certificate(B, "0B")))
    assert tried.do(store.identities_version()) > first
    tried.do(store.revoke_agent(A, NOW))
    _, (gone,) = tried.do(store.identities())
    assert gone.revoked
    assert gone.serials == frozenset()


def test_people_sessions_and_links(tried: Any, store: Any) -> None:
    assert tried.do(store.add_user(User(name="eve", role=Role.VIEWER, password="x", created_ms=1)))
    assert not tried.do(store.add_user(User(name="eve", role=Role.ADMIN)))
    session = Session(digest=b"s", user="eve", role=Role.VIEWER, csrf="c", created_ms=5, expires_ms=100, seen_ms=5)
    tried.do(store.add_session(session))
    assert tried.do(store.session(b"s", 50)) == session
    assert tried.do(store.session(b"s", 100)) is None
    tried.do(store.touch_session(b"s", 60, 200))
    tried.do(store.set_role("eve", Role.ADMIN))
    assert tried.do(store.session(b"s", 150)).role is Role.ADMIN
    tried.do(store.set_disabled("eve", True))
    assert tried.do(store.session(b"s", 150)) is None
    tried.do(store.set_disabled("eve", False))
    assert tried.do(store.session(b"s", 150)) is None
    tried.do(store.add_link(LoginLink(digest=b"l", user="eve", created_ms=1, expires_ms=10)))
    assert tried.do(store.take_link(b"l", 5)).user == "eve"
    assert tried.do(store.take_link(b"l", 5)) is None
    assert tried.do(store.user("eve")).last_login_ms == 5
    assert not tried.do(store.set_password("nobody", "x"))


def test_the_audit_log_pages_backwards(tried: Any, store: Any) -> None:
    for number in range(5):
        tried.do(store.audit(number, "user:eve", "login.done" if number % 2 else "token.created", detail=str(number)))
    newest = tried.do(store.audit_log(limit=2))
    assert [entry.detail for entry in newest] == ["4", "3"]
    assert [entry.detail for entry in tried.do(store.audit_log(before=newest[-1].number))] == ["2", "1", "0"]
    assert [entry.detail for entry in tried.do(store.audit_log(what="login."))] == ["3", "1"]


def test_retention_forgets_the_oldest_and_nothing_else(tried: Any, store: Any, lanes: Any) -> None:
    lane = lanes(A)
    old, new = lane.part(3), lane.part(2)
    tried.do(store.append(A, Batch(agent=A, lanes=(old,)), NOW - 10_000))
    tried.do(store.append(A, Batch(agent=A, lanes=(new,)), NOW))
    assert tried.do(store.prune(NOW - 5000, 0, NOW)) == 3
    assert tried.do(store.prune(NOW - 5000, 0, NOW)) == 0
    assert sorted(row.envelope.seq for row in tried.do(store.events(EventFilter())).events) == [4, 5]
    assert isinstance(tried.do(store.append(A, Batch(agent=A, lanes=(old,)), NOW)), Stored)
    health = tried.do(store.health())
    assert (health.agents, health.events) == (1, 2)


def test_findings_are_bounded(tried: Any, store: Any) -> None:
    from console.store.findings import MAX_OPEN_FINDINGS

    work = [store.note(A, FindingKind.CONFLICT, "x", NOW, Lane.BULK, seq) for seq in range(MAX_OPEN_FINDINGS + 50)]
    tried.together(work)
    assert len(tried.do(store.findings(A, limit=10_000))) == MAX_OPEN_FINDINGS


def test_names_can_be_given(tried: Any, store: Any) -> None:
    assert tried.do(store.rename_agent(A, "front door"))
    assert not tried.do(store.rename_agent(B, "x"))
    assert tried.do(store.agents(NOW))[0].name == "front door"
