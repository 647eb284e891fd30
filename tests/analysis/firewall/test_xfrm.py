"""IPsec policies as the words of `ip xfrm policy` say them: for whom each is, and what it asks for."""

import pytest

from analysis.firewall.model import Datapath
from analysis.firewall.probe import Answer, Verdict
from analysis.firewall.xfrm import policies
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import ask, datapath, match, probe, route, switches, table

FROM_ANYWHERE = "src 0.0.0.0/0 dst 0.0.0.0/0"
TEMPLATE = "tmpl src 192.0.2.1 dst 192.0.2.10 proto esp reqid 1 mode transport"


def with_policies(*texts: str, unread: str = "") -> Datapath:
    rows = {f"xfrm {number}": Row(what="xfrm", text=text) for number, text in enumerate(texts)}
    if unread:
        rows["xfrm"] = Row(what="xfrm", unread=unread)
    return datapath(rows)


def asked(*texts: str, **more: str) -> Answer:
    return ask(with_policies(*texts), probe(**more))  # type: ignore[arg-type]


def test_a_policy_that_blocks_is_named_and_undecided() -> None:
    answer = asked(f"{FROM_ANYWHERE} dir in action block priority 1 ptype main")
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.unknown == (f"IPsec policy: {FROM_ANYWHERE} dir in action block priority 1 ptype main",)


@pytest.mark.parametrize(
    "text",
    [
        f"{FROM_ANYWHERE} dir in priority 1 ptype main {TEMPLATE}",
        f"{FROM_ANYWHERE} dir in {TEMPLATE} level use {TEMPLATE}",
        "src 203.0.113.0/24 dst 192.0.2.10/32 proto tcp dport 80 dir in action block",
        f"{FROM_ANYWHERE} dir out action block",
        f"{FROM_ANYWHERE} proto tcp sport 80 dir out action block",
        f"{FROM_ANYWHERE} dev eth0 dir in action block",
        f"{FROM_ANYWHERE} uid 7 dir in action block",
        f"{FROM_ANYWHERE} proto tcp dport 80 mask 0xfff0 dir in action block",
        f"{FROM_ANYWHERE} dir in action block mark 0x0/0xff",
        f"{FROM_ANYWHERE} dir in action block mark what",
        f"{FROM_ANYWHERE} socket in action block",
        "src somewhere dst 0.0.0.0/0 dir in action block",
        "default in block",
    ],
)
def test_what_may_stop_the_packet_or_its_answer_makes_it_undecided(text: str) -> None:
    assert asked(text).verdict is Verdict.UNCERTAIN


@pytest.mark.parametrize(
    "text",
    [
        f"{FROM_ANYWHERE} dir in priority 1 ptype main",
        f"{FROM_ANYWHERE} dir in action allow",
        f"{FROM_ANYWHERE} dir in {TEMPLATE} level use",
        f"{FROM_ANYWHERE} dir fwd action block",
        f"{FROM_ANYWHERE} proto esp dir in action block",
        f"{FROM_ANYWHERE} proto tcp dport 81 dir in action block",
        f"{FROM_ANYWHERE} dir in action block mark 0x7/0xff",
        f"{FROM_ANYWHERE} dir in action block if_id 0x7",
        "src 10.0.0.0/8 dst 0.0.0.0/0 dir in action block",
        "src ::/0 dst ::/0 dir in action block",
        "default fwd block",
    ],
)
def test_what_is_for_others_or_asks_for_nothing_stops_nothing(text: str) -> None:
    assert asked(text).verdict is Verdict.REACHABLE


def test_the_smaller_priority_decides_and_a_default_comes_last() -> None:
    block, passing = (f"{FROM_ANYWHERE} dir in action block", f"{FROM_ANYWHERE} dir in")
    assert asked(f"{block} priority 2", f"{passing} priority 1").verdict is Verdict.REACHABLE
    assert asked(f"{block} priority 1", f"{passing} priority 2").verdict is Verdict.UNCERTAIN
    assert asked("default in block", f"{passing} priority 4000000000").verdict is Verdict.REACHABLE


def test_of_equal_priorities_nobody_knows_which_is_first() -> None:
    texts = (f"{FROM_ANYWHERE} dir in", f"{FROM_ANYWHERE} dir in action block")
    assert asked(*texts).verdict is asked(*texts[::-1]).verdict is Verdict.UNCERTAIN


def test_one_that_lets_pass_only_perhaps_hides_nothing_behind_it() -> None:
    texts = (f"{FROM_ANYWHERE} dev eth0 dir in priority 1", f"{FROM_ANYWHERE} dir in action block priority 2")
    assert asked(*texts).verdict is Verdict.UNCERTAIN


def test_both_the_address_before_translation_and_the_one_behind_it_count() -> None:
    nat = {"type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}
    moved = table("n", {"c": (nat, [[match("tcp dport", 80), {"redirect": {"port": 8080}}]])}, family="ip")
    for port, verdict in ((80, Verdict.UNCERTAIN), (8080, Verdict.UNCERTAIN), (81, Verdict.REACHABLE)):
        policy = Row(what="xfrm", text=f"{FROM_ANYWHERE} proto tcp dport {port} dir in action block")
        assert ask(datapath(moved, {"xfrm 1": policy}), probe()).verdict is verdict


def test_what_is_forwarded_meets_the_policies_for_that() -> None:
    forwarding = {**switches(ipv4__ip_forward="1"), **route("10.9.0.0/16", "br0")}
    for direction, verdict in (("fwd", Verdict.UNCERTAIN), ("out", Verdict.UNCERTAIN), ("in", Verdict.REACHABLE)):
        policy = Row(what="xfrm", text=f"src 203.0.113.0/24 dst 10.9.0.0/16 dir {direction} action block")
        found = ask(datapath(forwarding, {"xfrm 1": policy}), probe(protocol="udp", destination="10.9.0.1"))
        assert found.verdict is verdict


def test_what_was_not_read_may_be_for_everybody() -> None:
    answer = ask(with_policies(unread="5000 policies, more than 2000"), probe())
    assert answer.verdict is Verdict.UNCERTAIN
    assert answer.unknown == ("IPsec policy: 5000 policies, more than 2000",)


def test_rows_that_are_none_are_left_alone() -> None:
    assert policies({"link eth0": Row(what="link")}) == ()
