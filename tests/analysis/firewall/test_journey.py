"""All probes together fare as each of them alone, and impossible probes are refused in words."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.firewall.evaluate import evaluate
from analysis.firewall.probe import Probe, Verdict
from contracts.errors import UsageError
from tests.analysis.firewall.datapaths import ACCEPT, DROP, ask, base, datapath, field, match, probe, switches, table

LIMIT = {"limit": {"rate": 1}}
CONDITIONS = st.sampled_from(
    [
        match("tcp dport", 80),
        match("tcp dport", {"range": [81, 90]}, "!="),
        match("udp dport", 80),
        match("ip saddr", "203.0.113.7"),
        match("ip6 saddr", "2001:db8:9::7", "!="),
        match("ct state", "new", "in"),
        match("ct state", "established", "in"),
        LIMIT,
        match("meta mark", 1),
        match("meta iifname", "eth*"),
        match("ip ttl", 64),
        match("ct status", "dnat", "in"),
        {"mangle": {"key": field("meta mark"), "value": 1}},
        {"mangle": {"key": field("meta mark"), "value": {"ct": {"key": "mark"}}}},
    ]
)
ENDS = st.sampled_from(
    [ACCEPT, DROP, {"jump": {"target": "sub"}}, {"goto": {"target": "sub"}}, {"return": None}, {"reject": None}]
)
RULES = st.lists(st.tuples(st.lists(CONDITIONS, max_size=3), ENDS).map(lambda pair: [*pair[0], pair[1]]), max_size=4)
NAT = st.lists(
    st.tuples(
        st.lists(CONDITIONS, max_size=2),
        st.sampled_from([{"redirect": {"port": 81}}, {"dnat": {"family": "ip", "addr": "172.18.0.2"}}, ACCEPT]),
    ).map(lambda pair: [*pair[0], pair[1]]),
    max_size=3,
)
PROBES = st.lists(
    st.builds(
        probe,
        st.sampled_from([80, 81, 85]),
        protocol=st.sampled_from(["tcp", "udp"]),
        source=st.sampled_from(["203.0.113.7", "203.0.113.8", "192.0.2.10", "2001:db8:9::7", "172.18.0.5"]),
    )
    | st.builds(
        probe,
        st.sampled_from([80, 81]),
        source=st.just("127.0.0.1"),
        destination=st.just("127.0.0.1"),
        interface=st.just(""),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(st.tuples(RULES, RULES, RULES, RULES, NAT), st.sampled_from(["accept", "drop"]), PROBES)
def test_together_as_alone(rules: tuple[list[Any], ...], policy: str, probes: list[Probe]) -> None:
    inner, pre, input_, output, nat = rules
    inner = [rule for rule in inner if "jump" not in rule[-1] and "goto" not in rule[-1]]
    chains = {
        "sub": ({}, inner),
        "pre": (base("prerouting", -150), pre),
        "in": (base("input", 0, policy), input_),
        "out": (base("output", 0), output),
        "nat": (base("prerouting", -100, kind="nat"), nat),
    }
    made = datapath(table("t", chains), switches(ipv4__ip_forward="1"))
    together = evaluate(made, probes)
    for number, one in enumerate(probes):
        alone = evaluate(made, [one])
        assert together.verdicts()[number] == alone.verdicts()[0]
        assert together.answer(number).causes == alone.answer(0).causes
        assert together.answer(number).destination == alone.answer(0).destination


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"source": "1.2.3"}, "not an IPv4 address"),
        ({"destination": "::1"}, "not an IPv4 address"),
        ({"protocol": "icmp"}, "tcp or udp"),
        ({"port": 70000}, "port"),
        ({"family": 5}, "family"),
    ],
)
def test_impossible_probes_are_refused(wrong: dict[str, Any], words: str) -> None:
    fields = {
        "family": 4,
        "protocol": "tcp",
        "source": "203.0.113.7",
        "destination": "192.0.2.10",
        "port": 80,
        "interface": "eth0",
        **wrong,
    }
    with pytest.raises(UsageError, match=words):
        evaluate(datapath(), [Probe(**fields)])


def test_an_interface_that_is_not_there_is_named() -> None:
    answer = ask(datapath(), probe(interface="wlan7"))
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.unknown[0] == "there is no interface wlan7"


def test_no_probes_are_no_trouble() -> None:
    assert evaluate(datapath(), []).verdicts() == ()


def test_a_third_packet_that_is_rejected_leaves_undecided_and_one_that_is_dropped_does_not() -> None:
    for end, becomes in ((DROP, Verdict.REACHABLE), ({"reject": None}, Verdict.UNCERTAIN)):
        made = datapath(table("t", {"c": (base("input"), [[match("ct state", "established", "in"), end]])}))
        assert ask(made, probe()).verdict is becomes
