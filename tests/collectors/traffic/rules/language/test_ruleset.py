"""Whole files: what loads, what does not, which of two rules with one sid stays, and the whole open ruleset."""

from pathlib import Path

import pytest

from collectors.traffic.rules.language import ruleset
from collectors.traffic.rules.language.ruleset import Loader, load, sid_of

PEERS = Path(__file__).resolve().parents[6] / "shared" / "peers"


def loaded(text: bytes) -> Loader:
    loader = Loader()
    loader.read(text, "a.rules")
    return loader


def test_a_file_with_everything_odd_about_files() -> None:
    ruleset = loaded(
        b"\xef\xbb\xbf# comment\r\n"
        b'alert tcp any any -> any any (msg:"one\xc3\xa9"; \\\r\n  content:"a"; \\\r\n sid:1;)\r\n'
        b"#alert tcp any any -> any any (sid:2;)\r\n\r\n"
        b"alert tcp any any -> any any (bogus; sid:3;)\r\n"
        b"   alert tcp any any -> any any (sid:4;)   \n"
        b"alert tcp any any -> any any (sid:5;) \\"
    ).ruleset
    assert [(rule.sid, rule.line, rule.msg) for rule in ruleset.rules] == [(1, 2, "oneé"), (4, 8, ""), (5, 9, "")]
    (refusal,) = ruleset.refused
    assert (refusal.file, refusal.line, refusal.sid) == ("a.rules", 7, 3)
    assert str(refusal) == 'a.rules:7: sid 3: "bogus" is not a keyword that is known here'


def test_of_a_large_file_that_is_no_rules_so_much_is_read_as_needs_to_be_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ruleset, "MOST_REFUSED", 1000)
    loader = loaded(b"alert tcp any any -> any any (sid:1;)\n" + b"x\n" * 5000)
    loader.read(b"alert tcp any any -> any any (sid:2;)\n", "b.rules")
    assert [rule.sid for rule in loader.ruleset.rules] == [1, 2], "other files are read all the same"
    assert len(loader.ruleset.refused) == 1001
    assert loader.ruleset.refused[-1].line == 1002
    assert loader.ruleset.notes == [
        "a.rules:1002: 1,000 rules before it do not load; this and the rest of the file was not read"
    ]


def test_of_two_rules_with_one_sid_the_newer_stays() -> None:
    for text, kept in (
        (b"alert tcp any any -> any any (sid:1; rev:1;)\nalert tcp any any -> any any (sid:1; rev:2;)\n", 2),
        (b"alert tcp any any -> any any (sid:1; rev:3;)\nalert tcp any any -> any any (sid:1; rev:2;)\n", 3),
    ):
        ruleset = loaded(text).ruleset
        assert [rule.rev for rule in ruleset.rules] == [kept] and len(ruleset.refused) == 1
    assert (
        len(
            loaded(
                b"alert tcp any any -> any any (sid:1;)\nalert tcp any any -> any any (sid:1; gid:2;)\n"
            ).ruleset.rules
        )
        == 2
    )


def test_the_class_gives_its_name_and_its_priority_unless_the_rule_has_one() -> None:
    first, second = loaded(
        b"alert tcp any any -> any any (classtype:trojan-activity; sid:1;)\n"
        b"alert tcp any any -> any any (classtype:trojan-activity; priority:4; sid:2;)\n"
    ).ruleset.rules
    assert (first.category, first.priority, second.priority) == ("A Network Trojan was detected", 1, 4)


def test_the_sid_of_a_broken_rule_is_found() -> None:
    assert sid_of('alert tcp any (msg:"x"; sid: 17 ; rev:1)') == 17
    assert sid_of("nonsense") == 0
    assert sid_of(f"sid:{'9' * 5000};") == 0


@pytest.mark.parametrize(
    "option",
    [
        "sid:N;",
        "sid:1; rev:N;",
        "dsize:N;",
        "dsize:Nkb;",
        "requires:version >= N;",
        'content:"a"; depth:N;',
        "ttl:N-N;",
    ],
)
def test_a_number_of_thousands_of_digits_refuses_its_rule_alone(option: str) -> None:
    head = b"alert tcp any any -> any any ("
    ruleset = loaded(head + option.replace("N", "9" * 5000).encode() + b")\n" + head + b"sid:2;)\n").ruleset
    assert [rule.sid for rule in ruleset.rules] == [2]
    (refusal,) = ruleset.refused
    assert refusal.line == 1 and len(refusal.reason) < 200
    assert loaded(b"alert tcp any %s -> any any (sid:1;)\n" % (b"9" * 5000)).ruleset.rules == []


def test_every_rule_of_the_open_ruleset_loads() -> None:
    ruleset = load(sorted((PEERS / "et-open").glob("*.rules")))
    assert ruleset.refused == []
    assert len(ruleset.rules) == 24_827


def test_of_the_verification_suite_only_what_suricata_refuses_does_not_load() -> None:
    """Three rules use what came after Suricata 8.0 (and expect no alert); one is a duplicate of a sid."""
    refused = []
    for path in sorted((PEERS / "suricata-verify" / "cases").glob("*/test.rules")):
        refused += [f"{path.parent.name}: {refusal.reason[:30]}" for refusal in load([path]).refused]
    assert refused == [
        "decode-too-small: there is another rule with thi",
        'detect-xor-key--detect-xor-key-13: xor: "extract 1 200" is not a ',
        "detection_filter-distinct-dstport-no-dups: detection_filter: unique_on ca",
        "detection_filter-distinct-srcport-no-dups: detection_filter: unique_on ca",
    ]
