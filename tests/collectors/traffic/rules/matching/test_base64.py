"""Base64, as far as it goes."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.matching.base64 import decode


@given(st.binary(max_size=60), st.sampled_from(["rfc4648", "rfc2045", "strict"]))
def test_what_was_encoded_comes_back(data: bytes, mode: str) -> None:
    assert decode(base64.b64encode(data), mode) == data


def test_the_modes_differ_in_what_they_make_of_foreign_bytes() -> None:
    assert decode(b"aGVs bG8=") == b"hel"
    assert decode(b"aGVs bG8=", "rfc2045") == b"hello"
    assert decode(b"aGVs bG8=", "strict") == b""


def test_a_lone_digit_at_the_end_is_left_out() -> None:
    assert decode(b"aGVsb") == b"hel"
    assert decode(b"aGVsbG") == b"hell"
