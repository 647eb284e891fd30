"""Expressions: where they end, their flags, and their variables."""

import pytest

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.pcre_keywords import FLAG_BUFFERS
from collectors.traffic.rules.language.rule import Pcre, Rule


def rule(options: str) -> Rule:
    return Parser().rule(f"alert ip any any -> any any ({options} sid:1;)")


def first(options: str) -> Pcre:
    found = rule(options)
    test = found.payload or found.buffers[0]
    match = test.matches[-1]
    assert isinstance(match, Pcre)
    return match


def test_the_last_slash_that_is_not_escaped_ends_it() -> None:
    assert first(r'pcre:"/a\/b/i";') == Pcre(rb"a\/b", "i")
    assert first('pcre:"/a/b/si";') == Pcre(b"a/b", "si")
    assert first(r'pcre:!"/a\;/";') == Pcre(rb"a\;", "", True)
    assert first("pcre:/one/B;") == Pcre(b"one")


@pytest.mark.parametrize(("flag", "name"), FLAG_BUFFERS.items())
def test_a_flag_names_the_buffer(flag: str, name: str) -> None:
    found = rule(f'pcre:"/a/{flag}i";')
    assert [test.buffer for test in found.buffers] == [name] and found.app_protocol == "http"


def test_a_flag_may_repeat_the_sticky_buffer() -> None:
    assert len(rule('http.uri; content:"a"; pcre:"/b/RU";').buffers[0].matches) == 2


def test_relative_expressions_follow_the_match_before() -> None:
    found = rule('content:"a"; pcre:"/b/R";')
    assert found.payload is not None and found.payload.matches[0].next_relative  # type: ignore[union-attr]


def test_groups_have_names_by_place() -> None:
    assert first(r'pcre:"/(?:x)(?P<flow_a>\d)\((.)(?P<pkt_b>.)/";').captures == (("flow", "a"), ("", ""), ("pkt", "b"))
    assert first('pcre:"/(.)(.)/, flow:a, pkt:b";').captures == (("flow", "a"), ("pkt", "b"))
