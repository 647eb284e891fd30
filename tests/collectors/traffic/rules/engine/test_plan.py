"""What the engine works out of a rule: when it is looked at, which pattern stands for it, in which order."""

import pytest

from collectors.traffic.rules.engine.plan import (
    BOTH,
    IP_ONLY,
    PACKET,
    TO_CLIENT,
    TO_SERVER,
    TRANSACTION,
    Compiled,
    order,
)
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.matching.matcher import Matcher
from tests.collectors.traffic.rules.engine import scene


def _plan(*lines: str) -> list[Compiled]:
    sets = HeaderSets()
    return [Compiled(rule, sets, lambda test, whole: Matcher(test, whole.base64)) for rule in scene.rules(*lines)]


def _one(protocol: str, words: str) -> Compiled:
    return _plan(f"alert {protocol} any any -> any any ({words})")[0]


@pytest.mark.parametrize(
    ("protocol", "words", "kind"),
    [
        ("ip", 'msg:"x";', IP_ONLY),
        ("ip", "ip_proto:47;", IP_ONLY),
        ("tcp", "flags:S;", PACKET),
        ("tcp", 'content:"a";', PACKET),
        ("udp", "flow:to_server;", PACKET),
        ("http", 'http.uri; content:"a";', TRANSACTION),
        ("dns", "dns.opcode:0;", TRANSACTION),
    ],
)
def test_when_a_rule_is_looked_at(protocol: str, words: str, kind: int) -> None:
    assert _one(protocol, words).kind == kind


@pytest.mark.parametrize(
    ("words", "literal"),
    [
        ('content:"short"; content:"much longer"; ', b"much longer"),
        ('content:"short"; fast_pattern; content:"much longer";', b"short"),
        ('content:"abcdef"; fast_pattern:1,3; content:"much longer";', b"bcd"),
        ('content:!"much longer"; content:"short";', b"short"),
        ('content:"MiXed"; nocase;', b"mixed"),
        (f'content:"{"ab" * 80}";', b"ab" * 64),
    ],
)
def test_the_pattern_that_stands_for_a_rule(words: str, literal: bytes) -> None:
    fast = _one("tcp", words).fast
    assert fast is not None and fast.literal == literal


def test_a_rule_without_a_literal_has_no_pattern() -> None:
    assert _one("tcp", 'content:!"a";').fast is None
    assert _one("tcp", 'pcre:"/a+/";').fast is None
    assert _one("tcp", "flags:S;").fast is None


def test_a_pattern_with_a_depth_ends_there() -> None:
    first, later, open_end = (
        _one("udp", f'content:"abc"; {words}').fast for words in ("depth:5;", "offset:4; depth:5;", "offset:4;")
    )
    assert first is not None and first.last == 5
    assert later is not None and later.last >= 9, "it may look further than the rule, never less far"
    assert open_end is not None and open_end.last == 0


def test_the_side_that_a_rule_is_for() -> None:
    sides = {
        "flow:to_client;": TO_CLIENT,
        'http.uri; content:"a";': TO_SERVER,
        'http.stat_code; content:"200";': TO_CLIENT,
        'http.user_agent; content:"a"; flow:established;': TO_SERVER,
    }
    assert {words: _one("http", words).direction for words in sides} == sides
    assert _one("tcp", 'content:"a";').direction == BOTH


def test_protocols_and_families_of_the_header() -> None:
    udp, v6, http = (_one(word, 'content:"a";') for word in ("udp", "ipv6", "http"))
    assert (udp.protocols, udp.families) == (frozenset({17}), frozenset({4, 6}))
    assert (v6.protocols, v6.families) == (None, frozenset({6}))
    assert (http.protocols, http.applications is not None and "http" in http.applications) == (frozenset({6}), True)


def test_both_directions_have_two_headers() -> None:
    one_way, both = _plan('alert tcp any 1 -> any 2 (content:"a";)', 'alert tcp any 1 <> any 2 (content:"a";)')
    assert one_way.header_back == -1
    assert both.header_back >= 0 and both.header_back != both.header == one_way.header


def test_rules_that_pass_come_first_and_those_that_set_before_those_that_ask() -> None:
    compiled = _plan(
        'alert tcp any any -> any any (content:"a"; flowbits:isset,b; priority:1;)',
        'alert tcp any any -> any any (content:"a"; priority:2;)',
        'alert tcp any any -> any any (content:"a"; priority:1;)',
        'alert tcp any any -> any any (content:"a"; flowbits:set,b; priority:4;)',
        'drop tcp any any -> any any (content:"a"; priority:5;)',
        'pass tcp any any -> any any (content:"a"; priority:9;)',
    )
    order(compiled)
    assert [one.rule.sid for one in compiled] == [6, 5, 4, 1, 3, 2]
    assert [one.order for one in compiled] == list(range(6))


def test_what_looks_and_what_changes_are_apart() -> None:
    one = _one("tcp", 'content:"a"; flowbits:isset,x; flowbits:set,y; flowint:n,+,1; flowint:n,>,2;')
    assert [look.cmd for look in one.bits] == ["isset"] and [look.cmd for look in one.looks] == [">"]
    assert [change.cmd for change in one.changes] == ["set", "+"]
