"""Registered domains and public suffixes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.matching.domains import domain, tld


@pytest.mark.parametrize(
    ("name", "registered", "suffix"),
    [
        (b"www.example.com", b"example.com", b"com"),
        (b"WWW.Example.CO.UK", b"Example.CO.UK", b"CO.UK"),
        (b"a.b.github.io", b"b.github.io", b"github.io"),
        (b"com", b"com", b"com"),
        (b"x.unheard-of-suffix", b"x.unheard-of-suffix", b"unheard-of-suffix"),
        (b"", b"", b""),
        (b"a..b", b"a..b", b"a..b"),
    ],
)
def test_names(name: bytes, registered: bytes, suffix: bytes) -> None:
    assert (domain(name), tld(name)) == (registered, suffix)


@given(st.binary(max_size=300))
def test_any_bytes_yield_their_own_end(data: bytes) -> None:
    assert data.endswith(domain(data)) and data.endswith(tld(data))
