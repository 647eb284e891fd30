"""Frames: what is compressed comes back, and what is broken or would grow too big is refused."""

import os
import threading

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.compression import BadFrame, compress, compress_each, decompress


@given(st.binary(max_size=5000))
def test_round_trip(data: bytes) -> None:
    assert decompress(compress(data), max(1, len(data))) == data


def test_a_frame_that_does_not_tell_its_size_is_read_too() -> None:
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 5000)
    assert decompress(frame, 5000) == b"x" * 5000


@pytest.mark.parametrize("tell", [True, False])
def test_a_frame_bigger_than_said_is_refused(tell: bool) -> None:
    frame = zstandard.ZstdCompressor(write_content_size=tell).compress(bytes(50 << 20))
    with pytest.raises(BadFrame):
        decompress(frame, 1 << 20)


@pytest.mark.parametrize(
    "frame", [b"", b"x", b"not a frame at all", compress(b"abc" * 100)[:-3], compress(b"abc") + b"more"]
)
def test_what_is_not_one_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        decompress(frame, 1000)


def test_threads_do_not_share_a_compressor() -> None:
    wrong: list[bytes] = []

    def work() -> None:
        for _ in range(50):
            data = os.urandom(100) * 200
            if decompress(compress(data), len(data)) != data:
                wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


def test_many_at_once_are_the_same_frames() -> None:
    pieces = [bytes(3) * size for size in (1, 50, 9000)] + [os.urandom(500)]
    assert [bytes(frame) for frame in compress_each(pieces)] == [compress(piece) for piece in pieces]
    assert compress_each([]) == []
