"""The states of a TCP session."""

from enum import IntEnum


class State(IntEnum):
    """TCP's states, in Suricata's order: all from `ESTABLISHED` on count as established."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    LAST_ACK = 7
    CLOSE_WAIT = 8
    CLOSING = 9
    CLOSED = 10
