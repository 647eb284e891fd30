"""The states of a TCP session, in Suricata's order: all from `ESTABLISHED` on count as established."""

from typing import Final

NONE: Final = 0
SYN_SENT: Final = 1
SYN_RECV: Final = 2
ESTABLISHED: Final = 3
FIN_WAIT1: Final = 4
FIN_WAIT2: Final = 5
TIME_WAIT: Final = 6
LAST_ACK: Final = 7
CLOSE_WAIT: Final = 8
CLOSING: Final = 9
CLOSED: Final = 10
