"""Numbers of packets and flows that rules compare, by keyword, and the vectorised form of those that all packets have."""

from collections.abc import Callable

import numpy as np

from collectors.traffic.block import I64, Bools
from collectors.traffic.decode.table import Table
from collectors.traffic.rules.engine.view import ICMP, ICMPV6, TCP, Packet
from collectors.traffic.rules.language.rule import FieldTest, Number

Field = Callable[[Packet], int | None]


def _icmp(at: int, kinds4: frozenset[int], kinds6: frozenset[int]) -> Field:
    def field(packet: Packet) -> int | None:
        kind = int(packet.table.sport[packet.row])
        if (packet.protocol == ICMP and kind in kinds4) or (packet.protocol == ICMPV6 and kind in kinds6):
            return packet.word(at, 2, packet.header4)
        return None

    return field


def _column(name: str, *protocols: int) -> Field:
    def field(packet: Packet) -> int | None:
        if protocols and packet.protocol not in protocols:
            return None
        return int(getattr(packet.table, name)[packet.row]) if packet.family else None

    return field


def _option(kind: int, size: int) -> Field:
    def field(packet: Packet) -> int | None:
        data = packet.tcp_options.get(kind) if packet.protocol == TCP else None
        return int.from_bytes(data, "big") if data is not None and len(data) == size else None

    return field


def _age(packet: Packet) -> int | None:
    if packet.slot < 0:
        return None
    return (packet.time_ns // 1_000_000_000) - int(packet.flows.first_ns[packet.place]) // 1_000_000_000


def _mtu(packet: Packet) -> int | None:
    if packet.protocol != ICMPV6 or int(packet.table.sport[packet.row]) != 2:
        return None
    return packet.word(4, 4, packet.header4)


def _layers(packet: Packet) -> int | None:
    return int(packet.table.vlan_count[packet.row])


ECHO4 = frozenset((0, 8, 13, 14, 15, 16, 17, 18))
ECHO6 = frozenset((128, 129))

FIELDS: dict[str, Field] = {
    "ttl": _column("ttl"),
    "tos": _column("tos"),
    "id": lambda packet: int(packet.table.ip_id[packet.row]) if packet.family == 4 else None,
    "fragoffset": _column("frag_offset"),
    "tcp.seq": _column("seq", TCP),
    "tcp.ack": _column("ack", TCP),
    "tcp.window": _column("window", TCP),
    "itype": _column("sport", ICMP, ICMPV6),
    "icode": _column("dport", ICMP, ICMPV6),
    "icmp_id": _icmp(4, ECHO4, ECHO6),
    "icmp_seq": _icmp(6, ECHO4, ECHO6),
    "icmpv6.mtu": _mtu,
    "tcp.mss": _option(2, 2),
    "tcp.wscale": _option(3, 1),
    "dsize": lambda packet: None if packet.pseudo else int(packet.table.payload_len[packet.row]),
    "vlan.layers": _layers,
    "flow.age": _age,
}
"""By keyword: what of a packet is compared, None when it has no such thing (the rule does not match then)."""

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "ttl": ("ttl", ()),
    "tcp.seq": ("seq", (TCP,)),
    "tcp.ack": ("ack", (TCP,)),
    "tcp.window": ("window", (TCP,)),
    "itype": ("sport", (ICMP, ICMPV6)),
    "icode": ("dport", (ICMP, ICMPV6)),
    "dsize": ("payload_len", ()),
}
"""Keywords that are a column of the table, for narrowing a whole block at once."""


def narrow(test: FieldTest, table: Table) -> Bools | None:
    """Return the rows of a table for which a test may hold, None when that cannot be told for all at once."""
    known = COLUMNS.get(test.name)
    if known is None:
        return None
    column, protocols = known
    found = compare(test.number, getattr(table, column).astype(np.int64))
    if protocols and found is not None:
        found = found & np.isin(table.protocol, np.array(protocols, np.uint8))
    return found


def compare(number: Number, values: I64) -> Bools | None:
    """Return where a comparison holds, None for those on bits."""
    low, high = number.low, number.high
    match number.op:
        case "=":
            return np.asarray(values == low)
        case "!=":
            return np.asarray(values != low)
        case "<":
            return np.asarray(values < low)
        case "<=":
            return np.asarray(values <= low)
        case ">":
            return np.asarray(values > low)
        case ">=":
            return np.asarray(values >= low)
        case "in":
            return np.asarray((values > low) & (values < high))
        case "!in":
            return np.asarray((values <= low) | (values >= high))
    return None
