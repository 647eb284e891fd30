"""Capture filters: pcap-filter(7) expressions compiled by libpcap into the kernel's BPF, and attached to a packet socket.

A filter looks at packets as the socket has them: the outermost VLAN tag is already taken off there, so `vlan` matches inner tags only.
"""

import ctypes
import ctypes.util
import socket
import struct
from functools import cache

from contracts.errors import Malformed, Unavailable, Why

_SNAP = 262_144
"""As `block.MAX_CAPTURE`; settings are checked with this where numpy is not to be loaded."""
_INSTRUCTION = struct.Struct("HBBI")
_NETMASK_UNKNOWN = 0xFFFFFFFF
_SO_ATTACH_FILTER, _SO_LOCK_FILTER = 26, 44
MAX_INSTRUCTIONS = 4096
"""The kernel's BPF_MAXINSNS."""
MAX_CHARACTERS = 4096
"""Of an expression: libpcap takes minutes over much longer ones."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


def compile_filter(expression: str, link: int) -> bytes:
    """Return the program of a filter for a link type (LINKTYPE_), eight bytes an instruction; raises `Malformed` for what is no filter."""
    if len(expression) > MAX_CHARACTERS:
        raise _too_long(expression)
    library = _library()
    handle = library.pcap_open_dead(link, _SNAP)
    if not handle:
        raise Malformed(f"no filters for link type {link}", advice="leave the filter out for this interface")
    program = _Program()
    try:
        text = expression.encode()
        if b"\0" in text or library.pcap_compile(handle, ctypes.byref(program), text, 1, _NETMASK_UNKNOWN):
            reason = ctypes.string_at(library.pcap_geterr(handle)).decode(errors="replace") or "not text"
            raise Malformed(
                f"{expression!r} is no capture filter: {reason}", advice="write it as for tcpdump: pcap-filter(7)"
            )
        size = int(program.length) * _INSTRUCTION.size
        code = ctypes.string_at(program.instructions, size)
        library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
    if len(code) > MAX_INSTRUCTIONS * _INSTRUCTION.size:
        raise _too_long(expression)
    return code


def _too_long(expression: str) -> Malformed:
    return Malformed(
        f"a capture filter of {len(expression)} characters is too long for the kernel: {expression[:40]!r} …",
        advice="name fewer hosts and ports, or networks instead of hosts",
    )


@cache
def _library() -> ctypes.CDLL:
    library = _loaded("libpcap.so.0.8") or _loaded("libpcap.so.1") or _loaded(ctypes.util.find_library("pcap"))
    if library is None:
        raise Unavailable(
            Why.TOOL_MISSING, "capture filters need libpcap, which is not installed", advice="install libpcap0.8"
        )
    library.pcap_open_dead.restype = library.pcap_geterr.restype = ctypes.c_void_p
    library.pcap_compile.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    )
    library.pcap_geterr.argtypes = library.pcap_close.argtypes = (ctypes.c_void_p,)
    library.pcap_freecode.argtypes = (ctypes.c_void_p,)
    return library


def _loaded(name: str | None) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(name) if name else None
    except OSError:
        return None


def complaint(expression: str, link: int = 1) -> str:
    """Return what is wrong with an expression (for Ethernet), "" for nothing, or where there is no libpcap to tell."""
    try:
        compile_filter(expression, link)
    except Malformed as error:
        return str(error)
    except Unavailable:
        return ""
    return ""


def load_library() -> bool:
    """Load libpcap now, for who cannot open files later; False where it is not installed: filters then say so."""
    try:
        _library()
    except Unavailable:
        return False
    return True


def attach(packet_socket: socket.socket, code: bytes) -> None:
    """Let a socket have only what a program lets through; for good: nobody who takes over the process can take it off again."""
    room = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HL", len(code) // _INSTRUCTION.size, ctypes.addressof(room))
    packet_socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    packet_socket.setsockopt(socket.SOL_SOCKET, _SO_LOCK_FILTER, 1)
