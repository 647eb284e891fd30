"""Coverage states every failure to look, once, and never calls it seen."""

import pytest

from agent.coverage import CoverageBook
from contracts.coverage import Blind, Sight
from contracts.errors import Why
from contracts.outcome import Failed, Ok, Outcome, Unavailable

GONE = Unavailable(why=Why.TOOL_MISSING, detail="nft is not installed", fix="Install the package nftables.")


def book(*subjects: str) -> CoverageBook:
    made = CoverageBook()
    for subject in subjects:
        made.expect(subject, 60, 1000)
    return made


def sight(made: CoverageBook, subject: str = "ports") -> Sight:
    return next(each for each in made.coverage().sights if each.subject == subject)


def kinds(made: CoverageBook, outcome: Outcome, at_ms: int = 2000, *blind: Blind) -> list[str]:
    return [event.kind for event in made.looked("ports", outcome, blind, 5, at_ms)]


def test_what_was_never_looked_at_is_unknown() -> None:
    assert sight(book("ports")).state == "unknown"


def test_a_clean_look_is_seen_with_its_time_and_rows() -> None:
    made = book("ports")
    assert kinds(made, Ok()) == []
    assert (sight(made).state, sight(made).last_ok_ms, sight(made).rows) == ("seen", 2000, 5)


def test_blind_spots_make_it_partial() -> None:
    made = book("ports")
    kinds(made, Ok(), 2000, Blind(what="the owners of sockets", why=Why.PERMISSION))
    assert sight(made).state == "partial"
    assert sight(made).blind[0].what == "the owners of sockets"


@pytest.mark.parametrize(
    ("outcome", "kind"), [(GONE, "agent.collector_unavailable"), (Failed(error="KeyError"), "agent.collector_failed")]
)
def test_a_failure_to_look_is_unseen_and_told_once(outcome: Outcome, kind: str) -> None:
    made = book("ports")
    assert kinds(made, outcome) == [kind]
    assert kinds(made, outcome) == []
    assert sight(made).state == "unseen"
    assert sight(made).blind[0].detail
    assert kinds(made, Ok()) == ["agent.collector_recovered"]
    assert kinds(made, Ok()) == []


def test_another_reason_is_told_again() -> None:
    made = book("ports")
    kinds(made, GONE)
    assert kinds(made, Unavailable(why=Why.WORKER_DOWN, detail="gone")) == ["agent.collector_unavailable"]
    assert kinds(made, Failed(error="broke")) == ["agent.collector_failed"]


def test_a_failure_keeps_when_it_was_last_seen() -> None:
    made = book("ports")
    kinds(made, Ok(), 2000)
    kinds(made, GONE, 3000)
    kinds(made, GONE, 4000)
    assert (sight(made).last_ok_ms, sight(made).since_ms) == (2000, 3000)


def test_a_host_that_has_none_is_a_finding_not_a_failure() -> None:
    made = book("ports")
    assert kinds(made, Unavailable(why=Why.NOT_PRESENT, detail="no docker here")) == []
    assert sight(made).state == "seen"
    assert sight(made).last_ok_ms > 0, "a dated look: the page must not say that nobody has looked yet"
    assert sight(made).blind[0].why == Why.NOT_PRESENT


def test_a_switched_off_subject_is_unseen_on_purpose() -> None:
    made = book()
    made.disabled("ports", 1000)
    assert sight(made).state == "unseen"
    assert sight(made).blind[0].why == Why.DISABLED
    made.expect("ports", 60, 2000)
    assert sight(made).state == "unknown"


def test_without_its_watcher_a_subject_is_seen_in_part_and_late() -> None:
    made = book("ports")
    kinds(made, Ok())
    assert [event.kind for event in made.watching("ports", GONE, ())] == ["agent.collector_unavailable"]
    assert made.watching("ports", GONE, ()) == ()
    assert sight(made).state == "partial"
    assert sight(made).blind[0].what == "ports as it changes"
    assert [event.kind for event in made.watching("ports", Ok(), ())] == ["agent.collector_recovered"]
    assert sight(made).state == "seen"
    made.watching("ports", Ok(), (Blind(what="other namespaces", why=Why.PERMISSION),))
    assert sight(made).state == "partial"


def test_the_state_disk_has_a_sight_while_it_is_short_of_room_and_it_comes_first() -> None:
    made = book("ports")
    made.looked("ports", Ok(), (), 1, 2000)
    made.disk("", "1 MiB left", 3000)
    first = made.coverage().sights[0]
    assert (first.subject, first.state, first.blind[0].detail, first.since_ms) == (
        "state disk",
        "partial",
        "1 MiB left",
        3000,
    )
    assert "Free space" in first.blind[0].fix
    made.disk("spool.db cannot be written", "is full", 4000)
    made.disk("spool.db cannot be written", "is full", 5000)
    first = made.coverage().sights[0]
    assert (first.state, first.blind[0].detail, first.since_ms) == ("unseen", "spool.db cannot be written", 4000)
    made.disk("", "", 6000)
    assert [each.subject for each in made.coverage().sights] == ["ports"]


def test_what_is_not_wholly_seen_comes_first() -> None:
    made = book("accounts", "ports")
    made.looked("accounts", Ok(), (), 1, 2000)
    assert [each.subject for each in made.coverage().sights] == ["ports", "accounts"]


def test_the_judges_get_how_the_runs_ended() -> None:
    made = book("ports")
    kinds(made, Ok(), 2000)
    kinds(made, GONE, 3000)
    run = made.runs()["ports"]
    assert (run.outcome, run.last_run_ms, run.last_ok_ms, run.since_ms, run.every_s) == (
        "unavailable",
        3000,
        2000,
        1000,
        60,
    )


def test_a_judge_is_named_only_when_it_broke() -> None:
    made = book("ports")
    made.judged("stale")
    made.looked("stale", Ok(), (), 0, 2000)
    assert [each.subject for each in made.coverage().sights] == ["ports"]
    made.looked("stale", Failed(error="KeyError"), (), None, 3000)
    assert "stale" in [each.subject for each in made.coverage().sights]


@pytest.mark.parametrize("why", [why for why in Why if why not in (Why.NOT_PRESENT, Why.DISABLED)])
def test_whatever_is_not_seen_comes_with_a_fix(why: Why) -> None:
    book = CoverageBook()
    book.looked("ports", Unavailable(why=why, detail="x"), (Blind(what="y", why=why),), None, 1)
    book.looked("firewall", Ok(), (Blind(what="z", why=why), Blind(what="own", why=why, fix="Do this.")), None, 1)
    spots = [spot for sight in book.coverage().sights for spot in sight.blind]
    assert len(spots) == 4 and all(spot.fix for spot in spots)
    assert "Do this." in {spot.fix for spot in spots}


def test_a_judge_that_could_not_judge_all_is_named() -> None:
    made = CoverageBook()
    made.judged("exposure")
    spot = Blind(what="exposure from vpn over IPv6", why=Why.NOT_PRESENT)
    made.looked("exposure", Ok(), (), 3, 1_000)
    assert made.coverage().sights == ()
    made.looked("exposure", Ok(), (spot,), 3, 2_000)
    (sight,) = made.coverage().sights
    assert (sight.state, sight.blind[0].what) == ("partial", spot.what)


def test_none_of_it_here_beside_what_could_not_be_seen_is_no_whole_sight() -> None:
    made = book("ports")
    gone = Unavailable(why=Why.NOT_PRESENT, detail="no docker here")
    kinds(made, gone, 2000, Blind(what="half of it", why=Why.PERMISSION))
    assert (sight(made).state, sight(made).last_ok_ms) == ("partial", 0)
