"""The firewall's state: what holds, since when it was accepted, stated once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.firewall_state import FirewallState
from contracts.subjects.firewall import Row, Summary
from contracts.subjects.ports import Listener

LOST, RESTORED = "firewall.filtering_lost", "firewall.filtering_restored"
GAP, EVEN = "firewall.ipv6_unfiltered", "firewall.ipv6_filtered"
BARE, COVERED = "firewall.listeners_unfiltered", "firewall.listeners_filtered"
WEB = {"web": Listener(protocol="tcp", family=4, address="0.0.0.0", port=80, scope="any")}


def _wall(filtering4: str, filtering6: str, ipv6: bool = True, unseen: bool = False) -> dict[str, Row]:
    summary = Summary(filtering4=filtering4, filtering6=filtering6, ipv6=ipv6, unseen4=unseen, unseen6=unseen)
    return {"summary": Row(what="summary", summary=summary)}


def test_before_the_first_look_nothing_is_said(court) -> None:
    assert court(FirewallState()).judge({"firewall": None, "ports": WEB}) == []


def test_filtering_lost_and_restored(court) -> None:
    bench = court(FirewallState())
    assert bench.judge({"firewall": _wall("closed", "closed"), "ports": WEB}) == []
    assert bench.judge({"firewall": _wall("open", "open"), "ports": WEB}) == [BARE, LOST, LOST]
    assert [event.fields.get("former") for event in bench.events[1:]] == ["closed", "closed"]
    assert bench.judge({"firewall": _wall("open", "open"), "ports": WEB}) == []
    assert bench.judge({"firewall": _wall("closed", "closed"), "ports": WEB}) == [COVERED, RESTORED, RESTORED]


def test_accepting_an_open_firewall_ends_what_was_said_of_it(court) -> None:
    bench = court(FirewallState())
    bench.judge({"firewall": _wall("closed", "closed"), "ports": WEB})
    bench.judge({"firewall": _wall("open", "open"), "ports": WEB})
    accepted = {"firewall": (7, _wall("open", "open"))}
    assert bench.judge({"firewall": _wall("open", "open"), "ports": WEB}, accepted) == [COVERED, RESTORED, RESTORED]
    assert bench.judge({"firewall": _wall("closed", "open"), "ports": WEB}, accepted) == [GAP]
    assert bench.judge({"firewall": _wall("open", "open"), "ports": WEB}, accepted) == [LOST, EVEN]


def test_ipv6_left_open_beside_a_filtered_ipv4(court) -> None:
    bench = court(FirewallState())
    assert bench.judge({"firewall": _wall("closed", "open")}) == [GAP]
    assert bench.judge({"firewall": _wall("closed", "open")}) == []
    assert bench.judge({"firewall": _wall("closed", "closed")}) == [EVEN]


def test_a_host_without_ipv6_has_no_gap(court) -> None:
    assert court(FirewallState()).judge({"firewall": _wall("closed", "open", ipv6=False)}) == []


def test_a_gap_that_was_accepted_is_not_said(court) -> None:
    rows = _wall("closed", "open")
    assert court(FirewallState()).judge({"firewall": rows}, {"firewall": (1, rows)}) == []


def test_no_filtering_at_all_matters_only_to_reachable_listeners(court) -> None:
    local = {"local": Listener(protocol="tcp", family=4, address="127.0.0.1", port=80, scope="loopback")}
    bench = court(FirewallState())
    assert bench.judge({"firewall": _wall("open", "open"), "ports": local}) == []
    assert bench.judge({"firewall": _wall("open", "open"), "ports": {**local, **WEB}}) == [BARE]
    assert bench.events[0].fields["listeners"] == 1
    assert bench.judge({"firewall": _wall("open", "open"), "ports": None}) == []


LEVEL = st.sampled_from(["open", "partial", "closed"])
WALL = st.builds(_wall, LEVEL, LEVEL, st.booleans())
STEP = st.tuples(st.one_of(st.none(), WALL), st.sampled_from([None, {}, WEB]), st.one_of(st.none(), WALL))


@given(st.lists(STEP, max_size=15))
@settings(deadline=None, max_examples=150)
def test_each_conclusion_begins_once_and_ceases_once(court, history) -> None:
    bench = court(FirewallState())
    accepted: dict = {}
    for revision, (wall, listeners, newly_accepted) in enumerate(history, start=1):
        if newly_accepted is not None:
            accepted = {"firewall": (revision, newly_accepted)}
        bench.judge({"firewall": wall, "ports": listeners}, accepted)
        held = bench.holding(LOST, RESTORED) | bench.holding(GAP, EVEN) | bench.holding(BARE, COVERED)
        assert held == bench.before.rows.keys() - {"reference"}
        if wall is not None:
            seen = wall["summary"].summary
            assert not ("lost4" in held and seen.filtering4 == "closed")
            assert not ("ipv6" in held and not seen.ipv6)


def test_rules_that_were_not_seen_begin_nothing_and_end_nothing(court) -> None:
    bench = court(FirewallState())
    assert bench.judge({"firewall": _wall("open", "open", unseen=True), "ports": WEB}) == []
    assert bench.judge({"firewall": _wall("closed", "open", unseen=True), "ports": WEB}) == []
    assert bench.judge({"firewall": _wall("closed", "open"), "ports": WEB}) == [GAP]
    assert bench.judge({"firewall": _wall("closed", "open", unseen=True), "ports": WEB}) == []
    bench = court(FirewallState())
    assert bench.judge({"firewall": _wall("open", "open"), "ports": WEB}) == [BARE]
    assert bench.judge({"firewall": _wall("open", "open", unseen=True), "ports": WEB}) == []
