"""Records of flows that ended, as EVE JSON has them, gathered into pieces that the core keeps."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from collectors.traffic.flows.batch import EVICTED, REUSED, SHUT_DOWN, TIMED_OUT, Ended
from collectors.traffic.flows.store import Columns
from collectors.traffic.output.eve import address, moment

PIECE_BYTES = 256 << 10
PIECE_S = 60.0
"""A piece is handed over when it is so large or so old."""
MOST_PER_BLOCK = 20_000
"""Records made of one block: a flood of flows must not hold up the packets; the rest is counted."""
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 132: "SCTP"}
_REASONS = {REUSED: "reused", TIMED_OUT: "timeout", EVICTED: "evicted", SHUT_DOWN: "shutdown"}


class FlowRecords:
    """Gathers records; `keep` takes a piece under a name. `left_out` counts flows of which there is none."""

    def __init__(self, keep: Callable[[str, bytes], None]) -> None:
        self.left_out = self.made = 0
        self._keep = keep
        self._lines: list[bytes] = []
        self._size = 0
        self._since_s: float | None = None
        self._number = 0

    def take(self, ended: Iterable[Ended], now_s: float) -> None:
        """Take the flows that ended."""
        room = MOST_PER_BLOCK
        for one in ended:
            count = min(len(one), room)
            room -= count
            self.left_out += len(one) - count
            for flow in range(count):
                line = (
                    json.dumps(record(one.columns, flow, int(one.reason[flow])), separators=(",", ":")).encode() + b"\n"
                )
                self._lines.append(line)
                self._size += len(line)
            self.made += count
        if self._lines and self._since_s is None:
            self._since_s = now_s

    def tick(self, now_s: float, now_ms: int, at_end: bool = False) -> None:
        """Hand a piece over when it is time."""
        if self._since_s is None or not (at_end or self._size >= PIECE_BYTES or now_s - self._since_s >= PIECE_S):
            return
        self._number += 1  # several may be handed over within a millisecond
        self._keep(f"{now_ms}-{self._number:06d}.ndjson", b"".join(self._lines))
        self._lines, self._size, self._since_s = [], 0, None


def record(flows: Columns, flow: int, reason: int) -> dict[str, Any]:
    """Return one record, of Suricata's shape."""
    family, protocol = int(flows.family[flow]), int(flows.protocol[flow])
    found: dict[str, Any] = {"timestamp": moment(int(flows.last_ns[flow])), "event_type": "flow"}
    for name, high, low, port in (
        ("src", flows.src_hi, flows.src_lo, flows.sport),
        ("dest", flows.dst_hi, flows.dst_lo, flows.dport),
    ):
        found[f"{name}_ip"] = address(family, int(high[flow]) << 64 | int(low[flow]))
        if protocol in (6, 17, 132):
            found[f"{name}_port"] = int(port[flow])
    found["proto"] = _PROTOCOLS.get(protocol, str(protocol))
    found["flow"] = {
        "pkts_toserver": int(flows.packets_to_server[flow]),
        "pkts_toclient": int(flows.packets_to_client[flow]),
        "bytes_toserver": int(flows.bytes_to_server[flow]),
        "bytes_toclient": int(flows.bytes_to_client[flow]),
        "start": moment(int(flows.first_ns[flow])),
        "end": moment(int(flows.last_ns[flow])),
        "age": int(flows.last_ns[flow] - flows.first_ns[flow]) // 1_000_000_000,
        "reason": _REASONS.get(reason, "unknown"),
    }
    return found
