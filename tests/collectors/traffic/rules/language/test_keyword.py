"""A keyword that is only accepted changes nothing."""

from collectors.traffic.rules.language.parser import Parser


def test_tls_store_is_accepted_and_changes_nothing() -> None:
    parser = Parser()
    assert parser.rule("alert tls any any -> any any (tls.store; sid:1;)") == parser.rule(
        "alert tls any any -> any any (sid:1;)"
    )
