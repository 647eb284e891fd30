"""DNS over UDP and TCP: every message is a transaction, as in Suricata."""

from typing import Final

from collectors.traffic.protocols.news import Conversation, Transaction
from collectors.traffic.protocols.parser import Facts, Limits, Parser

MAX_NAME: Final = 1025
MAX_LABELS: Final = 255
MAX_JUMPS: Final = 64
MAX_RECORDS: Final = 512
MAX_MESSAGE: Final = 65_535

_BUFFERS: Final = {
    "dns.query.name": 0,
    "dns.answer.name": 1,
    **{f"{name}.{section}.rrname": number for name in ("dns", "mdns") for number, section in
       enumerate(("queries", "answers", "authorities", "additionals"))},
}  # fmt: skip


class Malformed(Exception):
    """A message whose lengths or names do not hold."""


class DnsTransaction(Transaction):
    """One message: the names of its sections, and its numbers."""

    __slots__ = ("_names", "_numbers", "is_response", "to_client")

    def __init__(self, number: int, protocol: str, to_client: bool) -> None:
        super().__init__(number, protocol)
        self.to_client = to_client
        self.is_response = False
        self._names: list[list[bytes]] = [[], [], [], []]
        self._numbers: dict[str, list[int]] = {}

    def buffers(self, name: str, to_client: bool) -> list[bytes]:
        """Return the names that a sticky buffer stands for."""
        if to_client != self.to_client:
            return []
        if name == "dns.query":
            return [] if to_client else self._names[0]
        if name.endswith(".response.rrname"):
            return [one for section in self._names for one in section] if self.is_response else []
        index = _BUFFERS.get(name)
        return self._names[index] if index is not None else []

    def integers(self, name: str, to_client: bool) -> list[int]:
        """Return operation, result and record types."""
        return self._numbers.get(name, []) if to_client == self.to_client else []

    def read(self, data: bytes) -> None:
        """Read a message, as far as it holds."""
        to_client = self.to_client
        if len(data) < 12:
            self.event("malformed_data", to_client)
            return
        flags = data[2] << 8 | data[3]
        counts = [data[at] << 8 | data[at + 1] for at in (4, 6, 8, 10)]
        self.is_response = flags >= 0x8000
        if self.is_response != to_client:
            self.event("not_request" if self.is_response else "not_response", to_client)
        if flags & 0x0040:
            self.event("z_flag_set", to_client)
        opcode = flags >> 11 & 0xF
        if opcode >= 7:
            self.event("invalid_opcode", to_client)
        self._numbers["dns.opcode"] = [opcode]
        if self.is_response:
            self._numbers["dns.rcode"] = [flags & 0xF]
        try:
            self._sections(data, counts)
        except (Malformed, IndexError):
            self.event("malformed_data", to_client)

    def _sections(self, data: bytes, counts: list[int]) -> None:
        """Read the four sections; raises `IndexError` where the message ends too soon."""
        at, left, end = 12, MAX_RECORDS, len(data)
        known: dict[int, bytes] = {}
        types = self._numbers["dns.rrtype"] = []
        for number, count in enumerate(counts):
            names = self._names[number]
            for _ in range(min(count, left)):
                size = data[at]
                name = known.get((size & 0x3F) << 8 | data[at + 1]) if size >= 0xC0 else None
                if name is not None:
                    at += 2
                else:
                    start = at
                    name, at = read_name(self, data, at)
                    known[start] = name
                if number:
                    kind = data[at] << 8 | data[at + 1]
                    at += 10 + (data[at + 8] << 8 | data[at + 9])
                    if at > end:
                        raise Malformed
                else:
                    kind = data[at] << 8 | data[at + 1]
                    at += 4
                    if at > end:
                        raise Malformed
                if number < 2:
                    types.append(kind)
                if kind != 41:
                    names.append(name)
            left -= min(count, left)


class DnsParser(Parser):
    """Reads DNS messages; over TCP each has its length before it."""

    protocol = "dns"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._datagrams = facts.datagrams
        self._waiting = [b"", b""]
        self._lost = [False, False]

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take a datagram, or bytes of a stream."""
        if self._datagrams:
            self._message(data, to_client)
            return
        if gap or self._lost[to_client]:
            # Where the next message begins is unknown behind a hole.
            self._lost[to_client] = True
            return
        waiting = self._waiting[to_client] + data
        at = 0
        while len(waiting) - at >= 2:
            length = waiting[at] << 8 | waiting[at + 1]
            if len(waiting) - at - 2 < length:
                break
            if length:
                self._message(waiting[at + 2 : at + 2 + length], to_client)
            at += 2 + length
        self._waiting[to_client] = waiting[at:]

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return len(self._waiting[0]) + len(self._waiting[1])

    def _message(self, data: bytes, to_client: bool) -> None:
        tx = DnsTransaction(self.count, self.protocol, to_client)
        tx.request = tx.response = 1
        tx.done = True
        self.open(tx)
        self.touched.append(tx)
        tx.read(data)


class MdnsParser(DnsParser):
    """Reads multicast DNS."""

    protocol = "mdns"


def read_name(tx: DnsTransaction, data: bytes, at: int) -> tuple[bytes, int]:
    """Return the name at a position of a message, labels joined with dots, and where it ends; raises `Malformed`."""
    labels: list[bytes] = []
    behind = -1
    jumps = length = 0
    end = len(data)
    while at < end:
        size = data[at]
        if 0 < size < 64:
            stop = at + 1 + size
            if stop > end:
                raise Malformed
            if len(labels) >= MAX_LABELS:
                tx.event("too_many_labels", tx.to_client)
                if behind < 0:
                    raise Malformed
                break
            length += size + 1
            if length > MAX_NAME:
                tx.event("name_too_long", tx.to_client)
            else:
                labels.append(data[at + 1 : stop])
            at = stop
        elif not size:
            return b".".join(labels), behind if behind >= 0 else at + 1
        elif size >= 0xC0 and at + 1 < end:
            target = (size & 0x3F) << 8 | data[at + 1]
            if behind < 0:
                behind = at + 2
            jumps += 1
            if jumps > MAX_JUMPS or target == at:
                tx.event("infinite_loop", tx.to_client)
                break
            at = target
        else:
            raise Malformed
    else:
        raise Malformed
    return b".".join(labels), behind
