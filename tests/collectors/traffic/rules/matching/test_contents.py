"""Contents in their special cases: variables as places, negation with endswith, chunks, and what a failure means for the match before."""

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State

PARSER = Parser()


def holds(options: str, data: bytes) -> bool:
    rule = PARSER.rule(f"alert tcp any any -> any any ({options} sid:1;)")
    assert rule.payload is not None
    return Matcher(rule.payload)(data, State())


def test_an_extracted_number_is_a_distance_a_within_an_offset_and_a_depth() -> None:
    assert holds('byte_extract:1,0,n; content:"x"; distance:n; within:1;', b"\x02..x")
    assert not holds('byte_extract:1,0,n; content:"x"; distance:n; within:1;', b"\x02.x.")
    assert holds('byte_extract:1,0,n; content:"x"; offset:n;', b"\x02.x")
    assert not holds('byte_extract:1,0,n; content:"x"; offset:n;', b"\x03.x")
    assert holds('byte_extract:1,0,n; content:"x"; within:n;', b"\x02.x")
    assert not holds('byte_extract:1,0,n; content:"x"; within:n;', b"\x01.x")
    assert holds('byte_extract:1,0,n; content:"x"; depth:n;', b"\x03.x")
    assert not holds('byte_extract:1,0,n; content:"x"; depth:n;', b"\x02.x")


def test_a_negative_distance_does_not_reach_before_the_buffer() -> None:
    assert holds('content:"b"; content:"a"; distance:-100;', b"ab")


def test_negation_needs_every_byte_of_its_window() -> None:
    assert holds('content:"a"; content:!"b"; within:1;', b"axb")
    assert not holds('content:"a"; content:!"b"; within:2;', b"axb")
    assert holds('content:"a"; content:!"b"; within:1;', b"aba"), "another a has no b behind it"


def test_a_negated_endswith_is_only_for_the_end() -> None:
    assert holds('content:!"ab"; endswith;', b"abx")
    assert not holds('content:!"ab"; endswith;', b"ab")


def test_an_empty_buffer_has_no_content_but_may_lack_one() -> None:
    assert not holds('content:"a";', b"")
    assert holds('content:!"a";', b"")


def test_the_rule_of_the_user_guide_about_firefox() -> None:
    words = 'content:"Firefox/3."; content:!"Firefox/3.6.13"; distance:-10;'
    assert holds(words, b"Mozilla Firefox/3.5")
    assert not holds(words, b"Mozilla Firefox/3.6.13")
