"""Parts of frames: padding, settings, numbers; what does not fit is refused."""

import pytest

from collectors.traffic.protocols.http2 import frames
from collectors.traffic.protocols.http2.frames import Malformed, number, unpadded


def test_padding_is_taken_off() -> None:
    assert unpadded(b"\x02ab\0\0", frames.PADDED) == b"ab"
    assert unpadded(b"\x00ab", frames.PADDED) == b"ab"
    assert unpadded(b"\x02ab\0\0", 0) == b"\x02ab\0\0"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd", b"\xff"])
def test_padding_longer_than_the_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        unpadded(payload, frames.PADDED)


def test_settings_are_pairs() -> None:
    assert frames.settings(bytes.fromhex("000100001000 000200000000")) == [(1, 4096), (2, 0)]
    assert frames.settings(b"") == []
    assert len(frames.settings(b"\0\1\0\0\0\1" * 10_000)) == frames.MAX_SETTINGS
    with pytest.raises(Malformed):
        frames.settings(b"\0\1\0\0\0")


def test_a_number_has_no_reserved_bit() -> None:
    assert number(bytes.fromhex("80000005")) == 5
    with pytest.raises(Malformed):
        number(b"\0\0\5")
