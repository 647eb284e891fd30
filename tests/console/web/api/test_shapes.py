"""What the API says is its own and stays the same when records gain fields."""

import msgspec

from console.store.records import Token
from console.web.api.shapes import token_shape


def token(**fields):
    base = {"id": "t", "digest": b"", "note": "n", "created_ms": 1, "created_by": "x", "expires_ms": 100}
    return Token(**{**base, **fields})


def test_a_token_is_in_exactly_one_state():
    states = [
        token_shape(one, 50).state for one in (token(), token(used_ms=2), token(revoked_ms=2), token(expires_ms=10))
    ]
    assert states == ["waiting", "used", "revoked", "expired"]


def test_no_secret_is_among_the_words_of_a_token():
    assert b"digest" not in msgspec.json.encode(token_shape(token(digest=b"secret"), 0))
