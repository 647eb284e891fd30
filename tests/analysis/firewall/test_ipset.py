"""ipsets of every type this kernel has, looked up by both sides: against that kernel; and elements nobody wrote."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.ipset import RETURN_NOMATCH, IpSet, read_ipsets
from analysis.firewall.model import Element, Joined, Maybe, Name, Span
from analysis.firewall.xtables_values import NEVER
from contracts.subjects.datapath import Row
from tests.analysis.firewall.front_ends.judging import Bench
from tests.analysis.firewall.xtables_rounds import assert_decided

SETS = """
create ip hash:ip
add ip 203.0.113.5
add ip 192.0.2.10
create wide hash:ip netmask 24 timeout 600 counters comment
add wide 203.0.113.77 comment "nomatch wildcard"
create net hash:net
add net 203.0.113.0/24
add net 203.0.113.128/25 nomatch
add net 203.0.113.200/32
create port hash:ip,port
add port 192.0.2.10,tcp:53
add port 192.0.2.10,udp:80
add port 192.0.2.11,icmp:echo-request
create netport hash:net,port
add netport 192.0.2.0/24,tcp:123
add netport 192.0.2.11/32,tcp:123 nomatch
create ipportip hash:ip,port,ip
add ipportip 203.0.113.5,tcp:443,192.0.2.11
create ipportnet hash:ip,port,net
add ipportnet 192.0.2.11,udp:443,203.0.113.0/25
create iface hash:net,iface
add iface 203.0.113.0/24,wan0
add iface 192.0.2.0/24,lan wildcard
add iface 10.1.0.0/16,la wildcard
create bitip bitmap:ip range 192.0.2.0/24
add bitip 192.0.2.11-192.0.2.20
create bitport bitmap:port range 1-10000
add bitport 3000-5000
create six hash:net family inet6
add six 2001:db8:77::/64
add six 2001:db8:77::200 nomatch
create sixport hash:ip,port family inet6
add sixport 2001:db8:2::11,tcp:80
create several list:set size 8
add several ip
add several six
add several bitport
create empty hash:ip
"""
BOTH = (
    "-m set --match-set several src",
    "-m set --match-set several dst",
    "-m set ! --match-set several src",
    "-m set --match-set bitport dst",
    "-m set ! --match-set bitport dst",
    "-m set --match-set bitport src",
)
FOUR = (
    "-m set --match-set ip src",
    "-m set --match-set ip dst",
    "-m set ! --match-set ip src",
    "-m set --match-set wide src",
    "-m set --match-set net src",
    "-m set ! --match-set net src",
    "-m set --match-set net src --return-nomatch",
    "-m set --match-set port dst,dst",
    "-m set ! --match-set port dst,dst",
    "-m set --match-set netport dst,dst",
    "-m set --match-set netport dst,dst --return-nomatch",
    "-m set --match-set ipportip src,dst,dst",
    "-m set --match-set ipportnet dst,dst,src",
    "-m set --match-set iface src,src",
    "-m set --match-set iface dst,src",
    "-m set ! --match-set iface src,src",
    "-m set --match-set bitip dst",
    "-m set --match-set port dst",
    "-m set --match-set empty src",
    "-m set ! --match-set empty src",
)
SIX = (
    "-m set --match-set six src",
    "-m set ! --match-set six src",
    "-m set --match-set six src --return-nomatch",
    "-m set --match-set sixport dst,dst",
)


@pytest.mark.parametrize(("version", "conditions"), [(4, FOUR), (6, SIX), (4, BOTH), (6, BOTH)])
def test_what_is_in_a_set_is_what_the_kernel_finds_there(
    bench: Bench, version: int, conditions: tuple[str, ...]
) -> None:
    assert_decided(bench, version, conditions, ipset=SETS)


def row(kind: str, *elements: str, unread: str = "", **more: str) -> Row:
    document = {"type": kind, "elements": list(elements), **more}
    return Row(what="ipset", document=msgspec.json.encode(document).decode(), unread=unread)


def read(kind: str, *elements: str, **more: str) -> IpSet:
    return read_ipsets({"ipset x": row(kind, *elements, **more)})["x"]


def test_elements_are_keys() -> None:
    assert read("hash:ip", "192.0.2.1", family="inet").elements == (Element(Span(0xC0000201, 0xC0000201)),)
    assert read("hash:ip", "192.0.2.0", family="inet", netmask="24").elements == (
        Element(Span(0xC0000200, 0xC00002FF)),
    )
    assert read("bitmap:port", "22").elements == (Element(Span(22, 22)),)
    found = read("hash:ip,port", "192.0.2.1,udp:53", family="inet").elements
    assert found == (Element(Joined((Span(0xC0000201, 0xC0000201), Span(17, 17), Span(53, 53)))),)


def test_a_hardware_address_that_is_open_is_any() -> None:
    filled, unset = read("bitmap:ip,mac", "10.0.0.7,00:11:22:33:44:55", "10.0.0.8").elements
    assert isinstance(filled.key, Joined) and isinstance(unset.key, Joined)
    assert filled.key.parts[1] == Span(0x001122334455, 0x001122334455)
    assert unset.key.parts[1] == Span(0, (1 << 48) - 1)


def test_a_wildcard_is_a_beginning_and_a_comment_is_no_option() -> None:
    elements = read(
        "hash:net,iface", "10.0.0.0/8,eth wildcard", '10.1.0.0/16,eth1 comment "nomatch wildcard"', family="inet"
    ).elements
    names = [(one.key.parts[1], one.excluded) for one in elements if isinstance(one.key, Joined)][:2]
    assert names == [(Name("eth*"), False), (Name("eth1"), False)]


def test_the_other_sense_of_nomatch_is_a_set_of_its_own() -> None:
    named = read("hash:net", "10.0.0.0/8", "10.1.0.0/16 nomatch", family="inet").named()
    assert [one.excluded for one in named["x"].elements] == [False, True]
    assert [one.excluded for one in named["x" + RETURN_NOMATCH].elements] == [True, False]


def test_fewer_sides_or_another_family_match_nothing() -> None:
    assert read("hash:ip,port", family="inet").conditions("src", 4) == (NEVER,)
    assert read("hash:ip", family="inet6").conditions("src", 4) == (NEVER,)


@pytest.mark.parametrize(
    "broken",
    [
        Row(what="ipset", document="{"),
        Row(what="ipset", document="[]"),
        row("hash:unheard,of"),
        row(""),
        row("hash:ip", family="inet", bitmask="255.0.255.0"),
        row("hash:ip", family="inet", netmask="99"),
    ],
)
def test_a_set_that_is_not_understood_is_undecided_and_named(broken: Row) -> None:
    (condition,) = read_ipsets({"ipset x": broken})["x"].conditions("src", 4)
    assert isinstance(condition, Maybe) and "x" in condition.text


def test_a_name_that_is_quoted_in_its_key_is_read() -> None:
    shape = row("hash:ip", "192.0.2.1", family="inet")
    assert list(read_ipsets({'ipset "odd name"': shape})) == ["odd name"]
    assert next(iter(read_ipsets({'ipset "cut': shape}).values())).unread


def test_an_element_that_is_not_understood_leaves_the_rest() -> None:
    found = read("hash:ip", "192.0.2.1", "nonsense", '"cut', family="inet")
    assert len(found.elements) == 1
    assert "nonsense" in found.named()["x"].unread


def test_a_set_that_was_not_read_says_so() -> None:
    found = read_ipsets({"ipset x": row("hash:ip", unread="more than 5 elements")})["x"]
    assert found.named()["x"].unread == "more than 5 elements"


def test_a_list_of_sets_with_a_stranger_in_it_is_undecided() -> None:
    rows = {"ipset all": row("list:set", "known", "gone"), "ipset known": row("hash:ip", "192.0.2.1", family="inet")}
    found = read_ipsets(rows)["all"]
    assert [member.name for member in found.members] == ["known"]
    assert "gone" in found.unread


@given(
    st.sampled_from(("hash:ip", "hash:net,iface", "bitmap:port", "hash:ip,port,net", "list:set", "hash:ip,mark")),
    st.lists(st.text(max_size=40), max_size=5),
)
def test_any_elements_are_read_or_named(kind: str, elements: list[str]) -> None:
    found = read(kind, *elements, family="inet")
    found.named()
    assert found.conditions("src,dst,dst", 4)
