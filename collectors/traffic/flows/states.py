"""What TCP's flags say about a flow: seen bits gathered for a whole block at once, and the state that follows from them.

Order inside a block matters only where a connection is opened again on the same ports, or after a silence: `cuts` walks those flows from
one such place to the next, and tells where a new flow begins.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from collectors.traffic.block import U8, U32, Bools
from collectors.traffic.flows.timeouts import CLOSED, ESTABLISHED, NEW

FIN, SYN, RST, ACK = 1, 2, 4, 16

NONE, SYN_SENT, SYN_RECV, OPEN, FIN_WAIT, ENDED = range(6)
"""TCP states by flags: nothing of a handshake seen (midstream); SYN; SYN and SYN+ACK; established; one side has sent FIN; both, or RST."""

OPENS, ANSWERS, ACKS, FINISHES, RESETS = 1, 2, 4, 8, 16
"""Seen bits of one side: SYN without ACK, SYN with ACK, ACK without SYN, FIN, RST."""


def _gathered() -> U32:
    """Return, by direction and flags, the flags (8 bits a side) and the seen bits (8 bits a side) as one word to be or-ed."""
    words = np.zeros(512, np.uint32)
    for flags in range(256):
        seen = OPENS * (flags & (SYN | ACK) == SYN) | ANSWERS * (flags & (SYN | ACK) == SYN | ACK)
        seen |= ACKS * (flags & (SYN | ACK) == ACK) | FINISHES * (flags & FIN != 0) | RESETS * (flags & RST != 0)
        for side in (0, 1):
            words[side << 8 | flags] = (flags | seen << 16) << (8 * side)
    return words


GATHERED = _gathered()
"""At `to_client << 8 | tcp_flags`."""


def _by_seen() -> list[int]:
    """Return TCP's state by the seen bits of the client (5 bits) and the server (5 more)."""
    states = []
    for seen in range(1024):
        client, server = seen & 31, seen >> 5
        if (client | server) & RESETS or client & server & FINISHES:
            state = ENDED
        elif (client | server) & FINISHES:
            state = FIN_WAIT
        elif client & OPENS:
            state = SYN_SENT if not server & ANSWERS else OPEN if client & ACKS else SYN_RECV
        else:
            # Picked up in the middle: both sides acknowledge each other, which no single side can feign.
            state = OPEN if client & server & ACKS else NONE
        states.append(state)
    return states


_BY_SEEN = _by_seen()
_STATES: U8 = np.array(_BY_SEEN, np.uint8)


def tcp_states(gathered: U32) -> U8:
    """Return TCP's state for gathered words."""
    return _STATES[(gathered >> np.uint32(16)) & np.uint32(31) | (gathered >> np.uint32(19)) & np.uint32(0x3E0)]


def flow_states(is_tcp: Bools, tcp_state: U8, answered: Bools) -> U8:
    """Return the states of flows: for TCP by its own state, for others by whether both sides have spoken."""
    opened = np.where(tcp_state >= OPEN, np.where(tcp_state == ENDED, CLOSED, ESTABLISHED), NEW)
    return np.where(is_tcp, opened, np.where(answered, ESTABLISHED, NEW)).astype(np.uint8)


MAX_CUTS = 16
"""How often one key may begin a new flow inside one block; what comes later belongs to the last one, and is counted."""

REUSED, TIMED_OUT = 1, 2


@dataclass(slots=True)
class Course:
    """How far a flow has come: gathered word by key (low endpoint first), last packet, first sequence number, and who is the client."""

    gathered: int
    last_ns: int
    isn: int
    client_high: bool
    answered: bool


class Stretch(NamedTuple):
    """Packets of one key between two places where a new flow may begin: the first packet, and all of them gathered by key."""

    at: int
    first_ns: int
    last_ns: int
    flags: int
    seq: int
    from_high: bool
    gathered: int
    low_spoke: bool
    high_spoke: bool


def by_client(gathered: int, client_high: bool) -> int:
    """Return a word gathered by key as one gathered by client and server."""
    return (gathered & 0x00FF00FF) << 8 | (gathered >> 8) & 0x00FF00FF if client_high else gathered


def cuts(
    course: Course | None, stretches: list[Stretch], is_tcp: bool, timeouts_ns: tuple[int, int, int]
) -> tuple[list[tuple[int, int]], int]:
    """Return which stretches begin a new flow (their `at`, and why), and how many such were left out.

    `course` is the flow that is in the table; None: the first stretch begins one anyway, which is no cut.
    """
    found: list[tuple[int, int]] = []
    left_out = 0
    for part in stretches:
        if course is not None:
            reason = _reason(course, part, is_tcp, timeouts_ns)
            if reason and len(found) >= MAX_CUTS:
                left_out += 1
            elif reason:
                found.append((part.at, reason))
                course = None
        if course is None:
            answers = is_tcp and part.flags & (SYN | ACK) == SYN | ACK
            course = Course(0, part.last_ns, part.seq, part.from_high != answers, False)
        course.gathered |= part.gathered
        course.last_ns = max(course.last_ns, part.last_ns)
        course.answered |= part.low_spoke if course.client_high else part.high_spoke
    return found, left_out


def _reason(course: Course, part: Stretch, is_tcp: bool, timeouts_ns: tuple[int, int, int]) -> int:
    gathered = by_client(course.gathered, course.client_high)
    if is_tcp:
        tcp_state = _BY_SEEN[gathered >> 16 & 31 | gathered >> 19 & 0x3E0]
        state = CLOSED if tcp_state == ENDED else ESTABLISHED if tcp_state >= OPEN else NEW
    else:
        tcp_state, state = NONE, ESTABLISHED if course.answered else NEW
    if part.first_ns - course.last_ns > timeouts_ns[state]:
        return TIMED_OUT
    if not is_tcp or part.flags & (SYN | ACK | RST | FIN) != SYN:
        return 0
    begun = gathered >> 16 & OPENS or gathered >> 24 & ANSWERS
    if not begun:
        return REUSED
    return REUSED if tcp_state == ENDED and part.seq != course.isn else 0
