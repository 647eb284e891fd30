"""Any rules of iptables, put together from what it understands, are decided as the kernel decides them, by both back ends."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analysis.firewall import test_ipset, test_xtables_matches, test_xtables_states
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.xtables_rounds import SOURCES, script

ALONE = {
    4: test_xtables_matches.BOTH
    + test_xtables_matches.OWN[4]
    + test_xtables_states.ADDRESSES[4]
    + test_ipset.FOUR
    + test_ipset.BOTH,
    6: test_xtables_matches.BOTH
    + test_xtables_matches.OWN[6]
    + test_xtables_states.ADDRESSES[6]
    + test_ipset.SIX
    + test_ipset.BOTH,
}
ANY = (*test_xtables_states.CONNECTIONS, *test_xtables_states.MARKS, "", "", "")
TRANSPORT = (*test_xtables_matches.TRANSPORT, "-p tcp", "-p udp", "", "")
VERDICTS = ("-j ACCEPT", "-j DROP", "-j DROP", "-j REJECT", "-j RETURN", "-j ONE", "-g TWO", "-j LOG", "")
PORTS = (22, 53, 80, 443, 9000)
MARKS = (
    "-j MARK --set-xmark 0x11/0xff",
    "-j MARK --or-mark 0x1",
    "-j CONNMARK --set-xmark 0x22/0xffffffff",
    "-j CONNMARK --save-mark",
    "-j CONNMARK --restore-mark",
    "-m mark --mark 0x11 -j RETURN",
)
TRANSLATIONS = {
    4: (
        "-j DNAT --to-destination 172.18.0.2",
        "-p tcp -j DNAT --to-destination :80",
        "-p udp -j REDIRECT --to-ports 53",
        "-j RETURN",
    ),
    6: (
        "-j DNAT --to-destination fd00:18::2",
        "-p tcp -j DNAT --to-destination :80",
        "-p udp -j DNAT --to-destination [fd00:18::2]:53",
        "-j RETURN",
    ),
}


@st.composite
def conditions(draw: st.DrawFn, version: int) -> str:
    """Return some conditions in the order in which iptables takes them: its own options, the transport, matches."""
    own = draw(st.sampled_from(ALONE[version]))
    transport = draw(st.sampled_from([each for each in TRANSPORT if not ("-i" in each and "-i" in own)]))
    matches = draw(st.sampled_from(ANY))
    return f"{transport} {own} {matches}" if own.startswith("-m") else f"{own} {transport} {matches}"


@st.composite
def rulesets(draw: st.DrawFn, version: int) -> list[str]:
    """Return lines for the tables mangle, nat and filter."""
    lines = []
    for mark in draw(st.lists(st.sampled_from(MARKS), max_size=3)):
        device = draw(st.sampled_from(("-i wan0 ", "! -i lo ", "")))
        lines.append(f"mangle -A PREROUTING {device}{mark}")
    for target in draw(st.lists(st.sampled_from(TRANSLATIONS[version]), max_size=2)):
        protocol = "" if target.startswith("-p") else "-p tcp "
        device = draw(st.sampled_from(("-i wan0", "-i lan0")))
        lines.append(f"nat -A PREROUTING {device} {protocol}{target}")
    for chain, low, high in (("INPUT", 1, 7), ("FORWARD", 0, 3), ("ONE", 0, 4), ("TWO", 0, 3)):
        for _ in range(draw(st.integers(low, high))):
            verdict = draw(st.sampled_from(VERDICTS[:5] if chain == "TWO" else VERDICTS))
            if chain == "ONE" and verdict == "-j ONE":
                verdict = "-j TWO"
            lines.append(f"filter -A {chain} {draw(conditions(version))} {verdict}")
    return lines


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"])
@given(data=st.data())
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_rules_are_decided_as_the_kernel_decides_them(bench: Bench, tool: str, data: st.DataObject) -> None:
    version = 6 if tool.startswith("ip6") else 4
    lines = data.draw(rulesets(version))
    bench.load((f"{tool}-restore", script(lines, chains=("ONE", "TWO"))), ipset=test_ipset.SETS)
    found = shots(ports=PORTS) + shots(senders=("internet",), ports=PORTS, sources=SOURCES[version])
    found += shots(senders=("internet", "lan"), ports=(22, 80), destinations=("172.18.0.2", "fd00:18::2"))
    picture = bench.judge([shot for shot in found if shot.probe.family == version])
    picture.assert_agreed()
    assert all(one.answer.unknown for one in picture.judged if one not in picture.decided)
    assert len(picture.decided) * 2 >= len(picture.judged)
