"""Capture files are told apart by what they begin with, from pipes as well."""

import gzip
import io
import os
import threading

import pytest

from collectors.traffic.captures import open_capture
from contracts.errors import Malformed
from tests.collectors.traffic.test_pcap import PACKETS, written
from tests.collectors.traffic.test_pcapng import enhanced, interface, section


def _packets(text: bytes) -> list[bytes]:
    return [block.packet(index) for block in open_capture(io.BytesIO(text)).blocks() for index in range(len(block))]


def test_both_formats_are_known_by_their_beginning() -> None:
    assert _packets(written(">", False, PACKETS)) == PACKETS
    assert _packets(section("<") + interface("<") + enhanced("<", b"one", 1)) == [b"one"]


def test_a_pipe_is_read_as_a_file_is() -> None:
    reading, writing = os.pipe()
    text = written("<", False, PACKETS)

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(text)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb") as pipe:
        found = [block.packet(index) for block in open_capture(pipe).blocks() for index in range(len(block))]
    thread.join()
    assert found == PACKETS


@pytest.mark.parametrize("text", [b"", b"\x4d\x5a", b"#!/bin/sh\n"])
def test_other_files_are_refused_with_what_would_do(text: bytes) -> None:
    with pytest.raises(Malformed, match=r"not a capture file.*tcpdump -w"):
        open_capture(io.BytesIO(text))


def test_compressed_captures_are_refused_with_how_to_read_them() -> None:
    with pytest.raises(Malformed, match=r"compressed with gzip.*gzip -dc"):
        open_capture(io.BytesIO(gzip.compress(written("<", False, PACKETS))))
