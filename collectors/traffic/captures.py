"""Opens a capture file of either format, by what it begins with."""

import io
from typing import BinaryIO

from collectors.traffic import pcap, pcapng
from collectors.traffic.block import Source
from contracts.errors import Malformed

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zX": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
}


class _Joined(io.RawIOBase):
    """Bytes that were read already, then the rest of a file: so that pipes need no seeking."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._head:
            count = min(len(self._head), len(buffer))
            buffer[:count] = self._head[:count]
            self._head = self._head[count:]
            return count
        return int(self._file.readinto(buffer) or 0)  # type: ignore[attr-defined]


def open_capture(file: BinaryIO) -> Source:
    """Return the packets of a pcap or pcapng file (or pipe) opened in binary mode; raises `Malformed` for anything else."""
    head = file.read(4)
    joined: BinaryIO = io.BufferedReader(_Joined(head, file), 1 << 16)
    if head in pcap.MAGICS:
        return pcap.PcapSource(joined)
    if head == pcapng.MAGIC:
        return pcapng.PcapngSource(joined)
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            advice = f"decompress it first: {name} -dc FILE | holdfast traffic read - …"
            raise Malformed(f"not a capture file: it is compressed with {name}", advice=advice)
    raise Malformed(
        f"not a capture file: it begins with {head.hex(' ') or 'nothing'}",
        advice="give a file as tcpdump -w or dumpcap writes it (decompressed)",
    )
