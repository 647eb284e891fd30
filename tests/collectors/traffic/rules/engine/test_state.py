"""What rules remember: bits and counters of flows, and bits of hosts that end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.engine import state
from collectors.traffic.rules.engine.state import SECOND_NS, Memory
from collectors.traffic.rules.language.rule import FlowBits, FlowInt, XBits
from tests.collectors.traffic.rules.engine import scene

NAMES = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["set", "unset", "toggle"]), NAMES), max_size=30))
def test_bits_of_flows_are_sets_by_flow(done: list[tuple[int, str, str]]) -> None:
    memory, model = Memory(), {slot: set[str]() for slot in range(3)}
    for slot, cmd, name in done:
        memory.change_bits(slot, FlowBits(cmd, (name,)))
        (model[slot].discard if cmd == "unset" or (cmd == "toggle" and name in model[slot]) else model[slot].add)(name)
    for slot, have in model.items():
        for name in "abc":
            assert memory.bits_hold(slot, FlowBits("isset", (name,))) == (name in have)
            assert memory.bits_hold(slot, FlowBits("isnotset", (name,))) == (name not in have)
        assert memory.bits_hold(slot, FlowBits("isset", ("a", "b"))) == bool(have & {"a", "b"})
        assert memory.bits_hold(slot, FlowBits("isnotset", ("a", "b"))) == (not {"a", "b"} <= have)


def test_what_belongs_to_a_flow_goes_with_it() -> None:
    memory = Memory()
    memory.change_bits(3, FlowBits("set", ("a",)))
    memory.change_counter(3, FlowInt("n", "=", 4))
    memory.forget([3])
    assert not memory.bits_hold(3, FlowBits("isset", ("a",)))
    assert not memory.counter_holds(3, FlowInt("n", "isset"))


def test_counters_are_set_raised_lowered_and_compared() -> None:
    memory = Memory()
    assert not memory.counter_holds(1, FlowInt("n", ">=", 0)), "a counter that is not there is no 0"
    memory.change_counter(1, FlowInt("n", "+", 5))
    memory.change_counter(1, FlowInt("n", "-", 2))
    memory.change_counter(1, FlowInt("limit", "=", 3))
    held = {cmd for cmd in ("<", "<=", "==", "!=", ">=", ">") if memory.counter_holds(1, FlowInt("n", cmd, "limit"))}
    assert held == {"<=", "==", ">="}
    assert memory.counter_holds(1, FlowInt("n", "isset")) and memory.counter_holds(2, FlowInt("n", "isnotset"))
    assert not memory.counter_holds(1, FlowInt("n", "==", "nobody"))


def test_bits_of_hosts_end() -> None:
    memory, bit = Memory(), XBits("set", "seen", "ip_src", 10)
    memory.change_timed(["x"], bit, 0)
    asked = XBits("isset", "seen", "ip_src")
    held = [memory.timed_holds(["x"], asked, at * SECOND_NS) for at in (0, 10, 11)]
    assert held == [True, True, False]
    assert not memory.timed_holds(["y"], asked, 0) and memory.timed_holds(["y", "x"], asked, 0)
    memory.change_timed(["x"], XBits("toggle", "seen", "ip_src", 10), 5 * SECOND_NS)
    assert memory.timed_holds(["x"], XBits("isnotset", "seen", "ip_src"), 5 * SECOND_NS)


def test_hosts_that_were_set_longest_ago_are_forgotten_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_HOSTS", 2)
    memory = Memory()
    for owner in ("x", "y", "x", "z"):
        memory.change_timed([owner], XBits("set", "b", "ip_src"), 0)
    asked = XBits("isset", "b", "ip_src")
    assert [memory.timed_holds([owner], asked, 0) for owner in "xyz"] == [True, False, True]
    assert memory.forgotten == 1


def test_a_rule_waits_for_the_bit_that_another_sets() -> None:
    packets = [scene.udp(data) for data in (b"second", b"first", b"second", b"undo", b"second")]
    packets.append(scene.udp(b"second", sport=41_000))
    found = scene.alerts(
        packets,
        'alert udp any any -> any any (content:"second"; flowbits:isset,seen;)',
        'alert udp any any -> any any (content:"first"; flowbits:set,seen; noalert;)',
        'alert udp any any -> any any (content:"undo"; flowbits:unset,seen; noalert;)',
    )
    assert [(one.rule.sid, one.packet.number) for one in found] == [(1, 3)]


def test_a_counter_of_a_flow_counts_its_packets() -> None:
    packets = [scene.udp(b"fail") for _ in range(5)] + [scene.udp(b"fail", sport=41_000)]
    found = scene.alerts(
        packets,
        'alert udp any any -> any any (content:"fail"; flowint:n,notset; flowint:n,=,0; noalert;)',
        'alert udp any any -> any any (content:"fail"; flowint:n,isset; flowint:n,+,1; noalert;)',
        'alert udp any any -> any any (content:"fail"; flowint:n,isset; flowint:n,>,2; priority:4;)',
    )
    assert {one.packet.dport for one in found} == {9999} and {one.packet.sport for one in found} == {40_000}
    assert [one.packet.number for one in found][-1] == 5 and 1 <= len(found) <= 3


def test_a_bit_of_a_host_is_seen_in_its_other_flows_until_it_ends() -> None:
    times = [(0, 1, b"mark"), (1, 2, b"look"), (2, 3, b"look"), (31, 4, b"look")]
    packets = [(scene.START + at * scene.SECOND, scene.udp(data, sport=40_000 + flow)) for at, flow, data in times]
    packets.insert(2, (scene.START + scene.SECOND, scene.udp(b"look", source="10.0.0.9")))
    found = scene.alerts(
        packets,
        'alert udp any any -> any any (content:"mark"; xbits:set,m,track ip_src,expire 20; noalert;)',
        'alert udp any any -> any any (content:"look"; xbits:isset,m,track ip_src;)',
    )
    assert [one.packet.sport for one in found] == [40_002, 40_003]
