"""Unexpected listeners: judged against expectations or the accepted baseline, stated once."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.listeners import Listeners
from contracts.event import Severity
from contracts.subjects.ports import Listener

SSH = Listener(protocol="tcp", family=4, address="0.0.0.0", port=22, process="sshd", executable="/usr/sbin/sshd")
BEGUN, CEASED, MISSING = "ports.listener_unexpected", "ports.listener_expected_again", "ports.baseline_missing"


def _with(**changes) -> Listener:
    return msgspec.structs.replace(SSH, **changes)


def test_before_the_first_look_nothing_is_said(court) -> None:
    assert court(Listeners()).judge({"ports": None}) == []


def test_without_expectations_and_baseline_only_that_is_said_and_once(court) -> None:
    bench = court(Listeners())
    assert bench.judge({"ports": {"a": SSH}}) == [MISSING]
    assert bench.judge({"ports": {"a": SSH, "b": SSH}}) == []


def test_once_a_baseline_is_accepted_newcomers_are_unexpected(court) -> None:
    bench = court(Listeners())
    bench.judge({"ports": {"a": SSH}})
    accepted = {"ports": (3, {"a": SSH})}
    assert bench.judge({"ports": {"a": SSH}}, accepted) == []
    assert bench.judge({"ports": {"a": SSH, "b": _with(port=2222)}}, accepted) == [BEGUN]
    assert bench.judge({"ports": {"a": SSH, "b": _with(port=2222)}}, accepted) == []
    assert bench.judge({"ports": {"a": SSH}}, accepted) == [CEASED]
    assert bench.events[-1].fields["reason"] == "gone"


def test_accepting_a_listener_ends_its_being_unexpected(court) -> None:
    bench = court(Listeners())
    rows = {"ports": {"a": _with(expected=False)}}
    assert bench.judge(rows) == [BEGUN]
    assert bench.judge(rows, {"ports": (2, rows["ports"])}) == [CEASED]
    assert bench.events[-1].fields["reason"] == "expected now"


def test_another_program_behind_an_accepted_port_is_unexpected(court) -> None:
    bench = court(Listeners())
    accepted = {"ports": (1, {"a": SSH})}
    assert bench.judge({"ports": {"a": _with(executable="/tmp/x")}}, accepted) == [BEGUN]
    assert "/tmp/x" in bench.events[-1].fields["reason"]
    assert bench.judge({"ports": {"a": SSH}}, accepted) == [CEASED]


def test_an_expected_listener_is_never_unexpected(court) -> None:
    assert court(Listeners()).judge({"ports": {"a": _with(expected=True)}}, {"ports": (1, {})}) == []


def test_loopback_weighs_less(court) -> None:
    bench = court(Listeners())
    bench.judge({"ports": {"a": _with(expected=False, scope="loopback")}})
    assert bench.events[0].severity is Severity.LOW


ROWS = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(_with, expected=st.sampled_from([True, False, None]), executable=st.sampled_from(["/a", "/b", ""])),
)


def test_thousands_at_once_are_one_event_as_severe_as_the_worst(court) -> None:
    bench = court(Listeners())
    many = {f"k{port}": _with(port=port, scope="loopback") for port in range(10_000, 20_000)}
    accepted = {"ports": (1, {"a": SSH})}
    bench.judge({"ports": {"a": SSH}}, accepted)
    assert bench.judge({"ports": {"a": SSH, **many, "b": _with(port=1, scope="any")}}, accepted) == [
        "ports.many_unexpected"
    ]
    told = bench.events[-1]
    assert (told.severity, told.fields["listeners"], told.fields["examples"][0]) == (Severity.HIGH, 10_001, "b")
    assert bench.judge({"ports": {"a": SSH}}, accepted) == ["ports.many_expected_again"]


@given(st.lists(st.tuples(ROWS, st.one_of(st.none(), ROWS)), max_size=12))
@settings(deadline=None, max_examples=150)
def test_each_conclusion_begins_once_and_ceases_once(court, history) -> None:
    bench = court(Listeners())
    for revision, (rows, accepted) in enumerate(history, start=1):
        bench.judge({"ports": rows}, {} if accepted is None else {"ports": (revision, accepted)})
        held = bench.holding(BEGUN, CEASED)
        assert held == bench.before.rows.keys() - {"baseline"}
        for key in held:
            assert not rows[key].expected
            assert accepted is None or key not in accepted or accepted[key].executable != rows[key].executable
        if accepted is None:
            assert held == {key for key, row in rows.items() if row.expected is False}
