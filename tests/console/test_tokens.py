"""What a token looks like and what is refused as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.tokens import BadToken, decode, encode


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_token_says_secret_and_pin(secret: bytes, pin: bytes) -> None:
    text = encode(secret, pin)
    assert text.startswith("hf1.")
    assert decode(text) == (secret, pin)


@given(st.text(max_size=250))
def test_other_text_is_no_token(text: str) -> None:
    with pytest.raises(BadToken):
        decode(text)


@given(st.integers(4, 90))
def test_a_token_that_was_cut_is_no_token(length: int) -> None:
    with pytest.raises(BadToken):
        decode(encode(b"s" * 32, b"p" * 32)[:length])
