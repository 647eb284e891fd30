"""Expressions with their loops and captures, isdataat, sizes, base64, entropy and sets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Dataset
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from collectors.traffic.rules.matching.steps import entropy_of

PARSER = Parser()


def run(options: str, data: bytes, header: str = "alert tcp any any -> any any") -> tuple[bool, State]:
    rule = PARSER.rule(f"{header} ({options} sid:1;)")
    state = State()
    test = rule.payload or rule.buffers[0]
    return Matcher(test, rule.base64)(data, state), state


def test_a_relative_expression_sees_only_what_is_behind_the_match() -> None:
    assert run('content:"a"; pcre:"/^b/R";', b"xab")[0]
    assert not run('content:"a"; pcre:"/(?<=a)b/R";', b"xab")[0], "it cannot look back into the match"
    assert run('content:"a"; pcre:"/(?<=a)b/";', b"xab")[0]


def test_an_expression_is_tried_at_all_its_places() -> None:
    assert run('pcre:"/a./"; content:"c"; within:1;', b"ab.adc")[0]


def test_captures_are_kept_by_name() -> None:
    found, state = run('pcre:"/(?P<flow_who>[a-z]+)=(?P<pkt_what>[0-9]+)/";', b"ab=12")
    assert found and state.captures == [("flow", "who", b"ab"), ("pkt", "what", b"12")]
    found, state = run('pcre:"/([a-z]+)=([0-9]+)/, flow:who, pkt:what";', b"ab=12")
    assert found and state.captures == [("flow", "who", b"ab"), ("pkt", "what", b"12")]


def test_a_bomb_ends_at_its_limit_and_is_counted() -> None:
    found, state = run('pcre:"/^(a+)+$/";', b"a" * 40 + b"b")
    assert not found and state.too_hard == 1


def test_a_bomb_that_is_negated_does_not_count_as_no_match() -> None:
    found, state = run('pcre:!"/^(a+)+$/";', b"a" * 40 + b"b")
    assert not found and state.too_hard == 1


def test_an_expression_that_does_not_compile_is_refused() -> None:
    with pytest.raises(Refused, match="pcre"):
        run('pcre:"/(/";', b"")


@pytest.mark.parametrize(
    ("word", "size", "expected"),
    [
        ("31", 32, True),
        ("32", 32, False),
        ("!32", 32, True),
        ("31,relative", 32, True),
        ("32,relative", 32, True),
        ("33,relative", 32, False),
    ],
)
def test_isdataat_counts_as_the_user_guide_says(word: str, size: int, expected: bool) -> None:
    assert run(f"isdataat:{word};", b"x" * size)[0] is expected


@pytest.mark.parametrize(("size", "expected"), [(5, False), (6, False), (7, True), (14, True), (15, False)])
def test_a_range_of_sizes_excludes_its_ends(size: int, expected: bool) -> None:
    words = "http.uri; bsize:6<>15;"
    assert run(words, b"x" * size, "alert http any any -> any any")[0] is expected


def test_urilen_is_cut_at_sixteen_bits() -> None:
    assert run("urilen:65535;", b"x" * 70_000, "alert http any any -> any any")[0]


def test_base64_is_decoded_and_tested() -> None:
    words = 'content:"arg="; base64_decode:bytes 16, offset 0, relative; base64_data; content:"thisisatest";'
    assert run(words, b"?arg=dGhpc2lzYXRlc3QK")[0]
    assert not run(words, b"?arg=dGhpc2lzYXRlc3Rz"[:12])[0]
    assert not run(words, b"?arg=")[0]


@given(st.binary(max_size=200))
def test_entropy_is_between_nothing_and_eight(data: bytes) -> None:
    assert 0.0 <= entropy_of(data) <= 8.0 + 1e-9


def test_entropy_is_compared() -> None:
    assert math.isclose(entropy_of(bytes(range(256))), 8.0)
    assert run("entropy: value > 7.9;", bytes(range(256)))[0]
    assert not run("entropy: value > 7.9;", b"aaaa")[0]


def test_a_set_is_asked_and_without_one_nothing_is_in_it() -> None:
    rule = PARSER.rule("alert dns any any -> any any (dns.query; dataset:isset,seen,type string; sid:1;)")
    matcher, state = Matcher(rule.buffers[0]), State()
    assert not matcher(b"a.example", state)
    asked: list[object] = []
    state.lookup = lambda test, data: bool(asked.append((test, data)) or data == b"a.example")
    assert matcher(b"a.example", state) and not matcher(b"b.example", state)
    assert isinstance(asked[0][0], Dataset)  # type: ignore[index]
