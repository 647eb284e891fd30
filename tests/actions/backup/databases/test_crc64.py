"""The CRC-64 of Redis: the value that its own test states, and the same however the bytes come."""

import random

from hypothesis import given
from hypothesis import strategies as st

from actions.backup.databases import crc64
from actions.backup.databases.crc64 import Crc64


def of(*parts: bytes) -> int:
    crc = Crc64()
    for part in parts:
        crc.feed(part)
    return crc.value()


def slowly(data: bytes) -> int:
    """Bit by bit, from the definition."""
    crc = 0
    for byte in data:
        for bit in range(8):
            top = (crc >> 63) ^ (byte >> bit & 1)
            crc = (crc << 1 & (1 << 64) - 1) ^ (0xAD93D23594C935A9 if top else 0)
    return int(f"{crc:064b}"[::-1], 2)


def test_it_has_the_value_that_redis_states() -> None:
    assert of(b"123456789") == 0xE9C6D914C4B8D9CA
    assert of() == of(b"") == 0


@given(st.binary(max_size=300))
def test_it_is_what_the_definition_says(data: bytes) -> None:
    assert of(data) == slowly(data)


def test_long_blocks_are_folded_to_the_same() -> None:
    dice = random.Random(7)
    data = dice.randbytes(2 * crc64._BLOCK + 4321)
    whole = crc64._plain(0, data)
    assert of(data) == whole
    cuts = sorted(dice.randrange(len(data)) for _ in range(20))
    assert of(*(data[one:other] for one, other in zip([0, *cuts], [*cuts, len(data)], strict=True))) == whole
    assert of(bytes(crc64._BLOCK) + b"\x01") == of(b"\x01"), "zeros before the first one change nothing"
    one = bytearray(data)
    one[700_000] ^= 1
    assert of(one) != whole


def test_remainders_of_powers_are_right() -> None:
    remainder = 1
    for exponent in range(1, 500):
        remainder <<= 1
        if remainder >> 64:
            remainder ^= 1 << 64 | 0xAD93D23594C935A9
        assert crc64._power(exponent) == remainder
