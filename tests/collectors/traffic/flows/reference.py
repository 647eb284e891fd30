"""The flow table again, packet by packet in plain Python: slow, and written without looking at numpy. The tests compare with it."""

from dataclasses import dataclass, field

TIMEOUTS = {6: (60, 600, 60), 17: (30, 300, 0), 1: (30, 300, 0)}
SECOND = 1_000_000_000


@dataclass
class Flow:
    client: tuple[str, int]
    server: tuple[str, int]
    protocol: int
    first_ns: int
    last_ns: int
    isn: int
    packets: list[int] = field(default_factory=lambda: [0, 0])
    flags: list[int] = field(default_factory=lambda: [0, 0])
    opened = answered = client_acked = server_acked = False
    finished: set[int] = field(default_factory=set)
    reset: bool = False

    def tcp_ended(self) -> bool:
        return self.reset or len(self.finished) == 2

    def tcp_open(self) -> bool:
        handshake = self.opened and self.answered and self.client_acked
        midstream = not self.opened and self.client_acked and self.server_acked
        return handshake or midstream or bool(self.finished)

    def state(self) -> int:
        if self.protocol == 6:
            return 2 if self.tcp_ended() else 1 if self.tcp_open() else 0
        return 1 if self.packets[1] else 0


def flows_of(packets: list[tuple[int, int, tuple[str, int], tuple[str, int], int, int]]) -> list[Flow]:
    """Return all flows in the order they began. A packet is time, protocol, source, destination, TCP flags, sequence number."""
    known: dict[tuple[object, ...], Flow] = {}
    begun: list[Flow] = []
    for now, protocol, source, destination, flags, seq in packets:
        key = (protocol, *sorted([source, destination]))
        flow = known.get(key)
        if flow is not None and ends(flow, now, flags, seq):
            flow = None
        if flow is None:
            client, server = (destination, source) if protocol == 6 and flags & 18 == 18 else (source, destination)
            flow = known[key] = Flow(client, server, protocol, now, now, seq)
            begun.append(flow)
        side = 0 if source == flow.client else 1
        flow.packets[side] += 1
        flow.flags[side] |= flags
        flow.last_ns = max(flow.last_ns, now)
        if protocol == 6:
            note(flow, side, flags)
    return begun


def ends(flow: Flow, now: int, flags: int, seq: int) -> bool:
    if now - flow.last_ns > TIMEOUTS.get(flow.protocol, (30, 300, 0))[flow.state()] * SECOND:
        return True
    if flow.protocol != 6 or flags & (2 | 16 | 4 | 1) != 2:
        return False
    if not (flow.opened or flow.answered):
        return True
    return flow.tcp_ended() and seq != flow.isn


def note(flow: Flow, side: int, flags: int) -> None:
    syn, ack = bool(flags & 2), bool(flags & 16)
    if side == 0 and syn and not ack:
        flow.opened = True
    if side == 1 and syn and ack:
        flow.answered = True
    if ack and not syn:
        flow.client_acked |= side == 0
        flow.server_acked |= side == 1
    if flags & 1:
        flow.finished.add(side)
    flow.reset |= bool(flags & 4)
