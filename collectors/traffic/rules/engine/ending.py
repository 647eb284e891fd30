"""The end of a flow in the place of a packet, for what only the end released."""

from collectors.traffic.block import Block
from collectors.traffic.decode.table import Table
from collectors.traffic.flows.store import Columns
from collectors.traffic.rules.engine.view import TCP, UDP, Packet


class Ending(Packet):
    """The end of a flow in the place of a packet: ends and direction of the flow, no headers and no payload."""

    def __init__(self, block: Block, table: Table, ended: Columns, flow: int, slot: int, to_client: int) -> None:
        super().__init__(block, table, ended, -1, slot, bool(to_client))
        self.place = flow
        self.established = self.accepted = self.streamed = self.pseudo = True
        ends = [
            int(getattr(ended, f"{end}_hi")[flow]) << 64 | int(getattr(ended, f"{end}_lo")[flow])
            for end in ("src", "dst")
        ]
        ports = [int(ended.sport[flow]), int(ended.dport[flow])]
        if to_client:
            ends.reverse()
            ports.reverse()
        protocol = int(ended.protocol[flow])
        self.__dict__.update(
            protocol=protocol,
            family=int(ended.family[flow]),
            flags=0,
            source=ends[0],
            destination=ends[1],
            sport=ports[0],
            dport=ports[1],
            ported=protocol in (TCP, UDP),
            time_ns=int(ended.last_ns[flow]),
            number=0,
            payload=b"",
            header3=b"",
            header4=b"",
        )
