"""The section on watched files: what is watched, what changed and what accounts for it; green only what is watched now."""

import msgspec
import pytest

from console.challenge_book import Asked, Standing
from console.store.records import Agent, AgentDetail, EventRow, State, Subject
from console.web.integrity_view import MOST_LISTED, RECENT_MS, challenge_view, integrity_view
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why
from contracts.event import Envelope, Event, Lane, Severity
from contracts.host import Facts
from contracts.subjects.integrity import Row
from contracts.wire import Heartbeat

NOW = 1_795_280_000_000
FACTS = Facts(
    hostname="a", machine_id="", boot_id="", kernel="", os_name="", architecture="", cpus=1, memory_bytes=1 << 30
)
BOOK = Row(
    kind="book", name="b1", state="watching", root="ab" * 32, position=7, open=2, watches=310, limit=8192, reported=9
)
ROOTS = {
    "root /etc": Row(kind="root", name="/etc", profile="configuration", state="watched", folders=300, files=1900, scanned_ms=NOW),
    "root /srv": Row(kind="root", name="/srv", profile="web", state="absent", scanned_ms=NOW),
}  # fmt: skip
SCAN = Row(
    kind="scan", name="plan", state="done", folders=300, files=1900, scanned_ms=NOW - 1000, seconds=2.5, read_bytes=4096
)
ALL = {"book": BOOK, "scan": SCAN, **ROOTS}


def server(state=State.UP, sight="seen", blind=()):
    coverage = Coverage(sights=(Sight(subject="integrity", state=sight, last_ok_ms=NOW, blind=blind),))
    beat = Heartbeat(sent_ms=NOW, instance="i", version="1", facts=FACTS, uptime_s=1, every_s=30, coverage=coverage)
    return AgentDetail(agent=Agent(id="a", name="a", state=state), heartbeat=beat)


def subject(rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return Subject(agent="a", subject="integrity", revision=1, at_ms=NOW, rows=encoded)


def event(number, kind="modified", severity=Severity.MEDIUM, at_ms=NOW, evidence=None, **fields):
    made = Event(
        kind=f"integrity.{kind}", key="/etc/x", severity=severity, fields=fields, evidence=evidence or {}, observed_ms=at_ms
    )  # fmt: skip
    envelope = Envelope(id="0" * 32, agent="a", lane=Lane.NORMAL, seq=number, event=made)
    return EventRow(number=number, hostname="a", received_ms=NOW, envelope=envelope)


def view(rows=ALL, events=(), detail=None):
    return integrity_view(detail or server(), subject(rows), events, NOW)


def test_what_is_watched_how_far_and_what_waits_is_said():
    shown = view()
    facts = dict(shown.facts)
    assert (shown.sign.word, shown.sign.tone, shown.tone) == ("Watching", "good", "")
    assert facts["Names"] == "1,900 in 300 folders"
    assert facts["Watched at once"] == "310 folders of at most 8,192"
    assert facts["Waiting to be accepted"] == "2 changes"
    assert facts["Last full scan"] == "1,900 names in 2 s, 4.0 KiB read, 0 changes"
    assert shown.scanned_ms == NOW - 1000
    assert [(root.path, root.sign.word) for root in shown.roots] == [("/etc", "Known"), ("/srv", "Not there")]
    assert shown.summary == "2 watched paths, 2 changes waiting to be accepted"


@pytest.mark.parametrize(
    "change",
    [{"unwatched": 4}, {"flaws": 1}, {"detail": "the last scan broke off"}, {"state": "starting"}, {"state": "resting"}],
    ids=str,
)  # fmt: skip
def test_what_is_not_wholly_watched_is_never_green(change):
    shown = view({**ALL, "book": msgspec.structs.replace(BOOK, **change)})
    assert (shown.sign.tone, shown.tone) == ("warn", "warn")


def test_blind_spots_are_listed_and_take_the_green_away():
    spot = Blind(what="3 watched names wholly", why=Why.OTHER, detail="/etc/x: permission", fix="mend it")
    shown = view(detail=server(sight="partial", blind=(spot,)))
    assert shown.blind == (spot,) and shown.sign.word == "Partly watched"
    assert view(detail=server(sight="unseen")).sign.tone == "warn"


def test_a_silent_server_was_watching():
    shown = view(detail=server(State.DOWN))
    assert (shown.sign.word, shown.sign.tone) == ("Was watching", "")
    assert {root.sign.tone for root in shown.roots} == {""}


def test_never_told_not_watched_and_not_understood_are_three_things():
    never = integrity_view(AgentDetail(agent=Agent(id="a", name="a", state=State.UP)), None, (), NOW)
    assert (never.word, never.facts, never.tone) == ("Not looked yet", (), "")
    spot = Blind(what="files", why=Why.DISABLED, fix="set collectors.integrity.enabled")
    off = integrity_view(server(sight="unseen", blind=(spot,)), None, (), NOW)
    assert off.word == "Not seen" and "collectors.integrity.enabled" in off.reason
    assert view({"book": b'{"new": 1}'}).word == "Not known"
    half = view(ROOTS)
    assert (half.word, half.sign.tone, half.tone) == ("Not known", "warn", "warn")


def test_a_change_is_shown_with_before_and_after_who_and_what_accounts_for_it():
    shown = view(
        events=[
            event(1, before=["mode 0644"], after=["mode 4755"], author_unknown="there is no audit log", at_ms=NOW - 9),
            event(2, package="openssh-server", accounted="the signed package ships another", contradicts=True, process="/usr/bin/vi",
                  user="root", login="ada", meaning=["PermitRootLogin no -> yes"], evidence={"diff": "-no\n+yes"}),
        ]
    )  # fmt: skip
    newest, older = shown.changes
    assert newest.contradicts and newest.provenance == "openssh-server: the signed package ships another"
    assert newest.who == "/usr/bin/vi of root (logged in as ada)"
    assert newest.meaning == ("PermitRootLogin no -> yes",) and newest.diff == "-no\n+yes"
    assert (older.before, older.after) == (("mode 0644",), ("mode 4755",))
    assert older.who == "not known: there is no audit log" and older.provenance == ""


def test_a_long_list_is_cut_and_says_so_and_an_event_asked_for_twice_is_shown_once():
    many = event(3, "many_changed", changes=[f"created /usr/{n}" for n in range(MOST_LISTED + 7)])
    (row,) = view(events=[many, many]).changes
    assert (len(row.lines), row.more) == (MOST_LISTED, 7)


def test_runs_of_package_tools_stand_apart_and_unproved_is_not_green():
    proved = event(
        4,
        "transaction",
        Severity.INFORMATIONAL,
        what="ssh 1 -> 2",
        files=31,
        proved=30,
        products=1,
        packages=["ssh 1 2"],
    )
    listed = event(5, "transaction_unproved", what="x 1 -> 2", files=2, unproved=2, at_ms=NOW - 5)  # fmt: skip
    shown = view(events=[listed, proved])
    assert [(run.what, run.sign.tone) for run in shown.runs] == [("ssh 1 -> 2", "good"), ("x 1 -> 2", "warn")]
    assert shown.runs[0].files == "31 files (30 shipped by signed packages, 1 written by their scripts)"
    assert shown.changes == ()


def test_a_baseline_that_was_not_the_one_stated_is_red_and_stays_said():
    doubt = event(6, "baseline_untrusted", Severity.CRITICAL, detail="it is older than what was stated")
    fresh = view(events=[doubt])
    assert fresh.tone == "bad" and "it is older than what was stated" in fresh.distrust
    old = event(6, "baseline_untrusted", Severity.CRITICAL, at_ms=NOW - RECENT_MS - 1, detail="older")
    assert view(events=[old]).tone == "" and "older" in view(events=[old]).distrust


def test_fields_of_other_types_are_shown_as_text():
    odd = event(7, before="one", after=3, changes=True, process=5, meaning=None)
    (row,) = view(events=[odd]).changes
    assert (row.before, row.after, row.lines, row.meaning) == (("one",), ("3",), ("yes",), ())


@pytest.mark.parametrize(
    ("outcome", "tone"),
    [("held", "good"), ("told", "good"), ("unproved", "warn"), ("differs", "warn"), ("failed", "bad"), ("unanswered", "bad")],
)  # fmt: skip
def test_only_a_challenge_that_held_lately_is_green_and_a_failed_one_is_red(outcome, tone):
    standing = Standing(outcome=outcome, detail="3 files", ended_ms=NOW - 1000, held_ms=NOW - 1000)
    lately = challenge_view(standing, 3600, NOW)
    assert (lately.sign.tone, lately.detail) == (tone, "3 files")
    shown = integrity_view(server(), subject(ALL), (), NOW, lately)
    assert shown.challenge == lately and shown.tone == {"good": ""}.get(tone, tone)
    long_ago = challenge_view(standing, 3600, NOW + 4 * 3_600_000)
    assert long_ago.sign.tone == {"good": "warn"}.get(tone, tone)


def test_never_asked_shows_nothing_and_asked_but_not_checked_is_not_green():
    assert challenge_view(Standing(), 3600, NOW) is None
    asked = Standing(asked=(Asked(id="1", nonce="00", asked_ms=NOW),), detail="there is no baseline yet")
    shown = challenge_view(asked, 3600, NOW)
    assert (shown.sign.tone, shown.detail) == ("", "there is no baseline yet")
