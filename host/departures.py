"""Counts packets of one source network that leave this host again, whatever path they took: a tap sees what passes by every hook, too.

A packet socket with a filter in the kernel (packet(7)): nothing is copied but a counter's value, and only while somebody watches.
"""

import ctypes
import ipaddress
import os
import socket
import struct

from contracts.errors import Unavailable, Why
from host import capabilities

_ETH_P_ALL = 0x0003
_ETHERTYPE = {4: 0x0800, 6: 0x86DD}
_SOURCE_AT = {4: 12, 6: 8}
_OUTGOING = 4  # PACKET_OUTGOING
_SO_ATTACH_FILTER = 26
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_AD_PROTOCOL, _AD_PACKET_TYPE = 0xFFFFF000, 0xFFFFF004
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_AND, _JUMP_EQUAL, _RETURN = 0x54, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")


class LeavingPackets:
    """`contracts.netfilter.Departures` for Linux."""

    def __init__(self, network: str) -> None:
        self._counted = 0
        program = filter_for(network)
        try:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._tap = socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
        except OSError as error:
            raise _refused(error) from error
        try:
            code = ctypes.create_string_buffer(program, len(program))
            head = struct.pack("HL", len(program) // _INSTRUCTION.size, ctypes.addressof(code))
            self._tap.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
            self.count()  # what came before the filter was there
            self._counted = 0
        except OSError as error:
            self._tap.close()
            raise _refused(error) from error

    def count(self) -> int:
        """Return how many left since it was opened; reading the kernel's counter sets it back, so they are added up."""
        raw = self._tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._counted += struct.unpack("=II", raw)[0]
        return self._counted

    def close(self) -> None:
        """Stop counting."""
        self._tap.close()


def filter_for(network: str) -> bytes:
    """Return the classic BPF program that lets only outgoing packets with a source in `network` pass."""
    wanted = ipaddress.ip_network(network)
    tests: list[tuple[int, int, int | None, int]] = [
        (_LOAD_BYTE, _AD_PACKET_TYPE, None, _OUTGOING),
        (_LOAD_HALF, _AD_PROTOCOL, None, _ETHERTYPE[wanted.version]),
    ]
    address, mask = wanted.network_address.packed, wanted.netmask.packed
    for place in range(0, len(address), 4):
        bits = int.from_bytes(mask[place : place + 4], "big")
        if bits:
            at = _SOURCE_AT[wanted.version] + place
            tests.append((_LOAD_WORD, at, bits, int.from_bytes(address[place : place + 4], "big")))
    steps: list[tuple[int, int]] = []
    for load, at, mask_bits, value in tests:
        steps.append((load, at))
        if mask_bits is not None and mask_bits != 0xFFFFFFFF:
            steps.append((_AND, mask_bits))
        steps.append((_JUMP_EQUAL, value))
    return _assembled(steps)


def _assembled(steps: list[tuple[int, int]]) -> bytes:
    """Return the instructions; every comparison that fails jumps to the last, which refuses."""
    size = len(steps) + 2
    code = []
    for place, step in enumerate(steps):
        past = size - place - 2 if step[0] == _JUMP_EQUAL else 0
        code.append(_INSTRUCTION.pack(step[0], 0, past, step[1]))
    code += [_INSTRUCTION.pack(_RETURN, 0, 0, 1), _INSTRUCTION.pack(_RETURN, 0, 0, 0)]
    return b"".join(code)


def _refused(error: OSError) -> Unavailable:
    lacking = capabilities.missing("CAP_NET_RAW")
    message = f"packets that leave cannot be counted ({os.strerror(error.errno or 0)})"
    advice = capabilities.advice(lacking) if lacking else "allow AF_PACKET in RestrictAddressFamilies= of this unit"
    return Unavailable(Why.PERMISSION, message, advice=advice)
