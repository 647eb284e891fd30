"""ARP for IPv4 over Ethernet (RFC 826): who says which address is whose."""

import numpy as np

from collectors.traffic.block import U8
from collectors.traffic.decode.side import ARP, Side, merge
from collectors.traffic.decode.span import Span, records
from collectors.traffic.decode.span import chosen as of
from collectors.traffic.decode.table import Table

_HEADER = np.dtype(
    [
        ("hardware", ">u2"),
        ("protocol", ">u2"),
        ("hardware_size", "u1"),
        ("protocol_size", "u1"),
        ("operation", ">u2"),
        ("sender_mac_hi", ">u2"),
        ("sender_mac_lo", ">u4"),
        ("sender_ip", ">u4"),
        ("target_mac_hi", ">u2"),
        ("target_mac_lo", ">u4"),
        ("target_ip", ">u4"),
    ]
)
_OPERATIONS = np.isin(np.arange(65536), (1, 2, 3, 4, 8, 9))


def decode(data: U8, table: Table, span: Span) -> None:
    """Decode ARP packets into `table.arps`; others than IPv4 over Ethernet only get their event."""
    fields = records(data, span.start, _HEADER)
    left = np.ones(len(span), np.bool_)
    for bad, event in (
        (span.end - span.start < _HEADER.itemsize, "arp.pkt_too_small"),
        (fields["hardware"] != 1, "arp.unsupported_hardware"),
        (fields["protocol"] != 0x0800, "arp.unsupported_protocol"),
        (fields["hardware_size"] != 6, "arp.invalid_hardware_size"),
        (fields["protocol_size"] != 4, "arp.invalid_protocol_size"),
        (~_OPERATIONS[fields["operation"]], "arp.unsupported_opcode"),
    ):
        table.refuse(event, span.rows[left & bad])
        left &= ~bad
    chosen = np.flatnonzero(left)
    fields = of(fields, chosen)
    arps = np.zeros(len(chosen), ARP)
    for name in ("operation", "sender_ip", "target_ip"):
        arps[name] = fields[name]
    for who in ("sender_mac", "target_mac"):
        arps[who] = fields[f"{who}_hi"].astype(np.uint64) << np.uint64(32) | fields[f"{who}_lo"]
    rows = span.rows[chosen]
    table.l3[rows] = span.start[chosen]
    table.arps = merge([table.arps, Side(rows, arps)])
