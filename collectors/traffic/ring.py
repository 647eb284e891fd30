"""The ring: packets of one interface as the kernel puts them into memory shared with it (AF_PACKET, TPACKET_V3).

A block is copied out and given back at once, so that the kernel has room whatever becomes of the packets (packet(7), packet_mmap.rst).
Needs CAP_NET_RAW when it is opened, and nothing later on.
"""

import errno
import fcntl
import mmap
import os
import socket
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import (
    CHECKSUM_NOT_READY,
    CHECKSUM_VALID,
    LINK_ETHERNET,
    LINK_RAW,
    OUTGOING,
    PAD,
    ROOM,
    VLAN_STRIPPED,
    Block,
)
from collectors.traffic.decode.span import records
from collectors.traffic.filter import attach, compile_filter
from contracts.errors import Malformed, Unavailable, Why
from contracts.record import Record

_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _FANOUT, _IGNORE_OUTGOING = 5, 6, 10, 18, 23
_TPACKET_V3, _FANOUT_HASH = 2, 0
_ETH_P_ALL = 3
_STATUS_AT, _LAST_AT, _USER = 8, 40, 1
_LOSING, _CSUM_NOT_READY, _VLAN_VALID, _CSUM_VALID = 4, 8, 16, 128
_RECORD = np.dtype(
    [
        ("next", "u4"),
        ("sec", "u4"),
        ("nsec", "u4"),
        ("captured", "u4"),
        ("wire", "u4"),
        ("status", "u4"),
        ("mac", "u2"),
        ("net", "u2"),
        ("hash", "u4"),
        ("vlan", "u4"),
        ("tpid", "u2"),
        ("pad", "V10"),
        ("family", "u2"),
        ("protocol", "u2"),
        ("ifindex", "i4"),
        ("hardware", "u2"),
        ("kind", "u1"),
        ("address", "V9"),
    ]
)
"""struct tpacket3_hdr, and the struct sockaddr_ll behind it."""
_OUTGOING_KIND = 4
_FLAGS = ((_CSUM_NOT_READY, CHECKSUM_NOT_READY), (_CSUM_VALID, CHECKSUM_VALID), (_VLAN_VALID, VLAN_STRIPPED))
_ETHERNET_LIKE = frozenset({1, 772})
"""ARPHRD_ETHER, ARPHRD_LOOPBACK."""
_BARE = frozenset({519, 768, 769, 776, 778, 65534})
"""ARPHRD_RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, NONE: the packet begins with IP."""
_LOOPBACK = 772
_SIOCGIFFLAGS, _IFREQ, _FLAGS_AT, _UP, _RUNNING = 0x8913, struct.Struct("16s24x"), 16, 1, 64
"""netdevice(7): struct ifreq begins with the name, flags follow it."""
DOWN, NO_CARRIER = "down", "no carrier"
"""Why no packet can come over an interface that is there: it is administratively down, or it is up and not running."""
_GONE = frozenset({errno.ENODEV, errno.ENXIO})
_FRAME = 2048
"""Means nothing to the kernel here but that blocks hold a whole number of it."""
_TICK_MS = 80
"""A block that has packets is handed over after so long, full or not: at low rates the ring holds so much time in each of its blocks."""
_GATHER, _GATHER_S = 1 << 20, 1.0
"""Of what waits, so many bytes and seconds are given at once: small blocks cost the parts behind more per packet."""


class RingOptions(Record):
    """How one interface is read."""

    blocks: int = 64
    """Blocks of `block_bytes`; together what the kernel can put by while nobody looks."""
    block_bytes: int = 256 * 1024
    """The kernel cuts packets that are larger, and leaves the end of a block empty where the next one does not fit."""
    filter: str = ""
    """What the kernel lets through (pcap-filter(7)); everything when empty."""
    fanout: int = 0
    """Sockets of one number (1 to 65535) share an interface's packets among them, flow by flow; 0: none."""


@dataclass(slots=True)
class RingCounts:
    """What came over an interface: `seen` by the kernel, of these `dropped`, how often it was full (`freezes`), and what was `read`."""

    seen: int = 0
    dropped: int = 0
    freezes: int = 0
    read: int = 0
    losing: int = 0
    """Packets that say that others before them were lost."""


class Ring:
    """One interface, opened: `take` gives the next block. `interface` is the number its packets carry."""

    def __init__(self, name: str, interface: int = 0, options: RingOptions | None = None) -> None:
        self.name = name
        self.interface = interface
        self.counts = RingCounts()
        self.index = 0
        """The kernel's number of the interface; 0 while there is none of the name."""
        self.spent = False
        """Whether it has to be opened anew: the kernel binds a socket of a group once only, and its interface has come back."""
        self._joined = False
        self._options = options or RingOptions()
        self._at = 0
        self._link = LINK_ETHERNET
        size = self._options.block_bytes
        self._data = np.zeros(max(size, _GATHER) + ROOM + PAD, np.uint8)
        self._socket = self._open()
        try:
            self._prepare()
            self._memory = mmap.mmap(self._socket.fileno(), size * self._options.blocks)
            self._bytes = np.frombuffer(self._memory, np.uint8)
            self.bind()
        except BaseException:
            self._socket.close()
            raise

    @property
    def turns(self) -> int:
        """Return how often `take` gives something of a ring that is full, and that nothing comes to."""
        return -(-self._options.blocks * self._options.block_bytes // _GATHER)

    @property
    def plenty(self) -> bool:
        """Whether as much waits as is given at once."""
        ahead = min(_GATHER // self._options.block_bytes, self._options.blocks) - 1
        base = (self._at + max(ahead, 0)) % self._options.blocks * self._options.block_bytes
        return bool(struct.unpack_from("I", self._memory, base + _STATUS_AT)[0] & _USER)

    def fileno(self) -> int:
        """Return the socket's number, for poll(2)."""
        return self._socket.fileno()

    def _open(self) -> socket.socket:
        try:
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except PermissionError as error:
            raise Unavailable(
                Why.PERMISSION,
                f"{self.name}: may not read packets",
                advice="the sensor needs the capability CAP_NET_RAW",
            ) from error

    def _prepare(self) -> None:
        options = self._options
        self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
        size, frames = options.block_bytes, options.blocks * (options.block_bytes // _FRAME)
        request = struct.pack("7I", size, options.blocks, _FRAME, frames, _TICK_MS, 0, 0)
        try:
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, request)
        except OSError as error:
            raise Unavailable(
                Why.OTHER,
                f"{self.name}: no memory for a ring of {options.blocks} x {options.block_bytes} bytes: {error.strerror}",
                advice="give it fewer or smaller blocks (a block is a multiple of the page size)",
            ) from error
        if options.filter:
            attach(self._socket, compile_filter(options.filter, LINK_ETHERNET))

    def bind(self) -> bool:
        """Begin to read the interface of this name, or go on with it when it has come back; returns whether there is one."""
        try:
            index = socket.if_nametoindex(self.name)
        except OSError:
            self.index = 0
            return False
        if index == self.index:
            return True
        if self._joined:
            self.spent = True
            return False
        try:
            self._socket.bind((self.name, _ETH_P_ALL))
        except OSError as error:
            self.index = 0
            if error.errno in _GONE:
                # It went between the look-up and here.
                return False
            raise Unavailable(Why.OTHER, f"{self.name}: cannot be read: {error.strerror}") from error
        hardware = self._socket.getsockname()[3]
        if hardware not in _ETHERNET_LIKE | _BARE:
            raise Malformed(
                f"{self.name}: packets of hardware type {hardware} are not understood",
                advice="name Ethernet, loopback or tunnel interfaces",
            )
        self._link = LINK_ETHERNET if hardware in _ETHERNET_LIKE else LINK_RAW
        if hardware == _LOOPBACK:
            # Every packet passes twice there, once out and once in.
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        if self._options.fanout:
            self._socket.setsockopt(_SOL_PACKET, _FANOUT, (self._options.fanout & 0xFFFF) | _FANOUT_HASH << 16)
            self._joined = True
        self.index = index
        return True

    def take(self) -> Block | None:
        """Return the next packets, None when there are none yet; the block is valid until the next one is asked for.

        The kernel's blocks that wait are put together, as long as they are of one second and there is room for them.
        """
        size, limit = self._options.block_bytes, len(self._data) - ROOM - PAD
        used, since_s = 0, 0.0
        parts: list[npt.NDArray[np.int64]] = []
        ends: list[int] = []
        while True:
            base = self._at * size
            status, count, first, length = struct.unpack_from("4I", self._memory, base + _STATUS_AT)
            if not status & _USER:
                break
            length = length if count and first < length <= size else size
            seconds, nanoseconds = struct.unpack_from("2I", self._memory, base + _LAST_AT)
            last_s = seconds + nanoseconds / 1e9
            if parts and (used + length > limit or not 0 <= last_s - since_s <= _GATHER_S):
                break
            since_s = last_s if not parts else since_s
            self._data[used : used + length] = self._bytes[base : base + length]
            struct.pack_into("I", self._memory, base + _STATUS_AT, 0)
            self._at = (self._at + 1) % self._options.blocks
            parts.append(self._walk(count, used + first, used + length))
            used += length
            ends.append(used)
        if not parts:
            return None
        return self._block(np.concatenate(parts), np.repeat(ends, [len(part) for part in parts]), used)

    def _block(self, starts: "npt.NDArray[np.int64]", ends: "npt.NDArray[np.int64]", used: int) -> Block:
        """Return the packets whose headers begin at `starts`, none reaching beyond the kernel's block that it is in (`ends`)."""
        fields = records(self._data, starts, _RECORD)
        status = fields["status"]
        offset = starts + fields["mac"]
        captured = np.clip(fields["captured"].astype(np.int64), 0, np.maximum(ends - offset, 0))
        flags = np.where(fields["kind"] == _OUTGOING_KIND, OUTGOING, 0)
        for bit, flag in _FLAGS:
            flags |= np.where(status & bit, flag, 0)
        self.counts.losing += int(np.count_nonzero(status & _LOSING))
        block = Block(
            self._data,
            used,
            offset,
            captured,
            np.maximum(fields["wire"].astype(np.int64), captured),
            fields["sec"].astype(np.int64) * 1_000_000_000 + fields["nsec"],
            np.full(len(starts), self._link, np.uint16),
            self.counts.read + 1,
            np.full(len(starts), self.interface, np.uint16),
            flags.astype(np.uint8),
            fields["vlan"].astype(np.uint16),
        )
        self.counts.read += len(starts)
        return block

    def _walk(self, count: int, first: int, end: int) -> "npt.NDArray[np.int64]":
        """Return where the packets' headers are: each says how far it is to the next."""
        following = struct.Struct("I").unpack_from
        data, at, last = self._data.data, first, end - _RECORD.itemsize
        starts: list[int] = []
        for _ in range(count):
            if at > last:
                break
            starts.append(at)
            step = following(data, at)[0]
            if not step:
                break
            at += step
        return np.array(starts, np.int64)

    def refresh(self) -> None:
        """Add up what the kernel has counted since the last time."""
        seen, dropped, freezes = struct.unpack("3I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self.counts.seen += seen
        self.counts.dropped += dropped
        self.counts.freezes += freezes

    def standstill(self) -> str:
        """Return why nothing can come over the interface: `DOWN`, `NO_CARRIER`, "" where something can (or there is no interface)."""
        try:
            answer = fcntl.ioctl(self._socket.fileno(), _SIOCGIFFLAGS, _IFREQ.pack(self.name.encode()))
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return ""
        flags = struct.unpack_from("H", answer, _FLAGS_AT)[0]
        return DOWN if not flags & _UP else NO_CARRIER if not flags & _RUNNING else ""

    def problem(self) -> str:
        """Return what the socket complains of since the last time; nothing ("") when the interface just went down or away."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return "" if number in (0, errno.ENETDOWN, errno.ENXIO, errno.ENODEV) else os.strerror(number)

    def close(self) -> None:
        """Give the memory and the socket back."""
        self._bytes = np.zeros(0, np.uint8)
        self._memory.close()
        self._socket.close()
