"""Which protocols go together in one rule."""

from collectors.traffic.rules.language.protocols import ANY_HOOKS, APPLICATION, HOOKS, compatible


def test_families_and_strangers() -> None:
    assert compatible("", "http") == "http"
    assert compatible("http", "http2") == "http2" and compatible("http2", "http") == "http2"
    assert compatible("http1", "http2") is None
    assert compatible("smb", "dcerpc") == "smb"
    assert compatible("dns", "tls") is None


def test_every_hook_is_of_a_protocol_that_has_transactions() -> None:
    assert set(HOOKS) <= set(APPLICATION) and ANY_HOOKS
