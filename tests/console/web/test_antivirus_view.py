"""The table of antivirus: green only what is fresh, at work and known to be so."""

import msgspec

from console.store.records import Agent, AgentDetail, State, Subject
from console.web.antivirus_view import antivirus_view
from contracts.subjects.antivirus import Done, Finding, Product

NOW = 1_795_280_000_000
UP = AgentDetail(agent=Agent(id="a", name="a", state=State.UP))
CLAMAV = Product(
    name="clamav",
    provider="clamav",
    engine="1.4.3",
    version=27005,
    built_ms=NOW,
    loaded_version=27001,
    loaded_ms=NOW - 5,
    daemon="answers",
)


def subject(name, rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return Subject(agent="a", subject=name, revision=1, at_ms=NOW, rows=encoded)


def view(products, findings=(), done=(), detail=UP):
    return antivirus_view(
        detail,
        subject("antivirus", products),
        subject("antivirus.runs", {each.what: each for each in done}),
        subject("antivirus.state", dict(findings)),
    )


def finding(kind, severity):
    return Finding(product="clamav", kind=f"antivirus.{kind}", severity=severity, detail="why")


def test_what_the_daemon_works_with_is_shown_and_what_waits_on_the_disk():
    shown = view({"clamav": CLAMAV})
    row = shown.rows[0]
    assert (row.sign.tone, row.version, row.built_ms) == ("good", "27001, 27005 on the disk", NOW - 5)
    assert shown.summary == "1 product, 1 fresh" and shown.tone == ""


def test_findings_take_the_green_away_and_say_why():
    tones = [view({"clamav": CLAMAV}, {"clamav": finding("signatures_stale", severity)}).rows[0] for severity in (3, 5)]
    assert [(row.sign.tone, row.details) for row in tones] == [("warn", ("why",)), ("bad", ("why",))]
    behind = view({"clamav": CLAMAV}, {"clamav/loaded": finding("daemon_behind", 4)})
    assert behind.tone == "bad" and behind.summary == "1 product, 0 fresh"


def test_not_known_not_judged_and_not_current_are_never_green():
    unknown = view({"clamav": CLAMAV}, {"clamav": finding("freshness_unknown", 3)}).rows[0]
    assert unknown.sign.word == "Not known"
    assert antivirus_view(UP, subject("antivirus", {"clamav": CLAMAV}), None, None).rows[0].sign.word == "Not known"
    silent = AgentDetail(agent=Agent(id="a", name="a", state=State.DOWN))
    assert view({"clamav": CLAMAV}, detail=silent).rows[0].sign.word == "Was fresh"


def test_none_not_told_and_not_understood_are_three_things():
    assert antivirus_view(UP, None, None, None).word == "Not looked at"
    none = view({})
    assert (none.word, none.tone) == ("No antivirus", "warn")
    assert view({"x": b'{"new":1}'}).word == "Not understood"


def test_what_was_done_last_is_shown_with_its_numbers():
    done = (
        Done(what="proof", at_ms=NOW, state="proved", detail="the console had it", numbers={"detected_ms": 120.0}),
        Done(what="scan", at_ms=NOW, state="scanned", numbers={"files": 7.0, "infected": 1.0, "unscanned": 2.0}),
        Done(what="update", at_ms=NOW, state="held back", detail="a cool-down"),
    )
    deeds = {row.name: (row.sign.tone, row.detail) for row in view({"clamav": CLAMAV}, done=done).deeds}
    assert deeds == {
        "Proof": ("good", "detected after 120 ms; the console had it"),
        "Scan": ("bad", "7 files, 1 infected, 2 not scanned"),
        "Signatures": ("warn", "a cool-down"),
    }
    missed = view({"clamav": CLAMAV}, done=(Done(what="proof", at_ms=NOW, state="missed"),))
    assert missed.tone == "bad"
