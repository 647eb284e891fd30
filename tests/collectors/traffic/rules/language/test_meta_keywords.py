"""Who a rule is."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import Rule


def rule(options: str, action: str = "alert") -> Rule:
    return Parser().rule(f"{action} tcp any any -> any any ({options} sid:1;)")


def test_text_is_utf8_and_escapes_are_taken_off() -> None:
    assert rule('msg:"caf\xc3\xa9 \\; \\"x\\"";').msg == 'café ; "x"'


def test_alerts_can_be_forbidden_and_asked_for() -> None:
    assert rule("noalert;").noalert
    assert not rule("noalert; alert;", "pass").noalert


def test_prefilter_is_for_the_test_before_it() -> None:
    assert rule('content:"a"; prefilter;').payload.matches[0].fast_pattern  # type: ignore[union-attr]
    assert rule("ttl:5; prefilter;").prefilter


@pytest.mark.parametrize(
    "options",
    [
        "rev:1; rev:2;",
        "gid:x;",
        "sid:0;",
        "priority:256;",
        "reference:url;",
        "target:both;",
        "target:src_ip; target:dest_ip;",
        'content:!"a"; prefilter;',
        "requires:nonsense;",
        "requires:version 8;",
        "nfq_set_mark:1;",
        'msg:"a"; msg:"b";',
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        rule(options)
