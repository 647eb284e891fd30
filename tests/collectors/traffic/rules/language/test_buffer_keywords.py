"""Sticky buffers, the old modifiers, and transforms: which test belongs to which buffer."""

import pytest

from collectors.traffic.rules.language.buffers import BUFFERS, MODIFIERS, NO_KEYWORDS, STICKY_ALIASES
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Rule, Transform


def rule(options: str, header: str = "alert ip any any -> any any") -> Rule:
    return Parser().rule(f"{header} ({options} sid:1;)")


@pytest.mark.parametrize("name", sorted(set(BUFFERS) - NO_KEYWORDS))
def test_every_buffer_can_be_named(name: str) -> None:
    content = ":".join(["ab"] * 20) if "cert_" in name else "a" * 32
    found = rule(f'{name}; content:"{content}";')
    assert [test.buffer for test in found.buffers] == [name]
    assert found.app_protocol == BUFFERS[name].protocol


@pytest.mark.parametrize(("alias", "name"), [*STICKY_ALIASES.items(), ("http.response_body", "file.data")])
def test_every_other_name_is_the_same_buffer(alias: str, name: str) -> None:
    content = ":".join(["ab"] * 20) if "cert_" in name else "a" * 32
    found = rule(f'{alias}; content:"{content}";')
    named = [test.buffer for test in found.buffers] or [found.payload.buffer if found.payload else ""]
    assert named == [name]


@pytest.mark.parametrize(("modifier", "name"), MODIFIERS.items())
def test_a_modifier_takes_the_content_before_it(modifier: str, name: str) -> None:
    found = rule(f'content:"a"; content:"b"; {modifier}; content:"c";')
    assert [test.buffer for test in found.buffers] == [name]
    assert found.payload is not None and len(found.payload.matches) == 2


def test_relative_contents_of_one_modifier_follow_each_other() -> None:
    found = rule('content:"a"; http_uri; content:"x"; content:"b"; http_uri; within:5;')
    (uri,) = found.buffers
    assert [match.pattern for match in uri.matches] == [b"a", b"b"]  # type: ignore[union-attr]
    assert uri.matches[0].next_relative  # type: ignore[union-attr]


def test_a_buffer_named_twice_is_one_test_unless_it_has_many_values() -> None:
    found = rule('http.uri; content:"a"; http.method; content:"b"; http.uri; content:"c";')
    assert [(test.buffer, len(test.matches)) for test in found.buffers] == [("http.uri", 2), ("http.method", 1)]
    found = rule('dns.query; content:"a"; dns.query; content:"b";')
    assert [(test.buffer, len(test.matches)) for test in found.buffers] == [("dns.query", 1), ("dns.query", 1)]


def test_a_transform_makes_another_buffer_of_the_same() -> None:
    found = rule('dns.query; content:"a"; dotprefix; content:".b"; dns.query; to_md5; to_lowercase; content:"c";')
    assert [(test.buffer, test.transforms) for test in found.buffers] == [
        ("dns.query", ()),
        ("dns.query", (Transform("dotprefix"),)),
        ("dns.query", (Transform("to_md5"), Transform("to_lowercase"))),
    ]


def test_pkt_data_goes_back_to_the_payload() -> None:
    found = rule('http.uri; content:"a"; pkt_data; content:"b"; http_header;')
    assert [test.buffer for test in found.buffers] == ["http.uri", "http.header"]


def test_a_rule_about_a_transaction_says_whose_buffer_it_means() -> None:
    header = "alert http any any => any any"
    found = rule(
        'http.uri; content:"a"; http.connection:to_client; content:"b"; file.data:to_client; content:"c";', header
    )
    assert [test.direction for test in found.buffers] == ["to_server", "to_client", "to_client"]
    with pytest.raises(Refused, match="of both sides"):
        rule('http.connection; content:"b";', header)


@pytest.mark.parametrize(
    "options",
    [
        'to_md5; content:"a";',
        'http.uri; xor:"xyz"; content:"a";',
        'http.uri; xor:"abc"; content:"a";',
        'http.uri; from_base64:mode odd; content:"a";',
        'http.uri; gunzip:max-size=0; content:"a";',
        'http.uri; luaxform:x.lua; content:"a";',
        'frame:http1.request; content:"a";',
        "http_uri;",
        'content:"a"; http_uri; http_header;',
        'http.uri:to_server; content:"a";',
        'file.data:both; content:"a";',
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        rule(options)
