"""What holds of a rule as a whole."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Content, Rule


def rule(options: str, header: str = "alert tcp any any -> any any") -> Rule:
    return Parser().rule(f"{header} ({options} sid:1;)")


def test_hashes_are_lower_case_and_serials_upper() -> None:
    found = rule(f'ja3.hash; content:"{"AB" * 16}"; tls.cert_serial; content:"0a:bc";')
    assert [test.matches for test in found.buffers] == [[Content(b"ab" * 16)], [Content(b"0A:BC")]]


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ('ja3.hash; content:"abc";', "alert tls any any -> any any"),
        ('tls.cert_serial; content:"0abc";', "alert tls any any -> any any"),
        ('tls.cert_fingerprint; content:"ab:cd";', "alert tls any any -> any any"),
        ("dsize:5; flow:only_stream;", "alert tcp any any -> any any"),
        ("flags:S;", "alert tcp-stream any any -> any any"),
        ('http.uri; content:"a";', "alert tcp-pkt any any -> any any"),
        ('content:"abcdef"; dsize:<5;', "alert tcp any any -> any any"),
        ("noalert;", "config tcp any any -> any any"),
        ("config:logging disable;", "alert tcp any any -> any any"),
        ('http.referer; absent; http.uri; content:"a"; http.referer; content:"b";', "alert http any any -> any any"),
    ],
)
def test_what_does_not_go_together_is_refused(options: str, header: str) -> None:
    with pytest.raises(Refused):
        rule(options, header)


def test_a_config_rule_is_one() -> None:
    found = rule("config:logging disable, type tx, scope tx;", "config dns any any -> any any")
    assert found.config == (("logging", "disable"), ("type", "tx"), ("scope", "tx"))


def test_a_field_of_one_side_gives_the_rule_its_side_as_a_buffer_does() -> None:
    ftp = "alert ftp any any -> any any"
    for options in ('ftp.reply_received:yes; ftp.command; content:"PASS";', "flow:to_server; ftp.reply_received:no;"):
        with pytest.raises(Refused, match="side"):
            rule(options, ftp)
    rule('ftp.reply_received:yes; ftp.reply; content:"ok";', ftp)
    rule('ftp.reply_received:yes; ftp.command; content:"PASS";', "alert ftp any any => any any")
