"""DNS over UDP and TCP: every message is a transaction, as in Suricata."""

from collectors.traffic.protocols.news import Conversation, Fields
from collectors.traffic.protocols.parser import Facts, Limits, Parser

MAX_NAME = 1025
MAX_LABELS = 255
MAX_JUMPS = 64
MAX_RECORDS = 512
MAX_MESSAGE = 65_535

_SECTIONS = ("queries", "answers", "authorities", "additionals")


class Malformed(Exception):
    """A message whose lengths or names do not hold."""


class DnsParser(Parser):
    """Reads DNS messages; over TCP each has its length before it."""

    protocol = "dns"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._waiting = [b"", b""]
        self._lost = [False, False]

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take a datagram, or bytes of a stream."""
        if self.facts.datagrams:
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

    def _message(self, data: bytes, to_client: bool) -> None:
        tx = self.fields()
        tx.done = True
        if to_client:
            tx.response = 1
        else:
            tx.request = 1
        self.touch(tx)
        if len(data) < 12:
            tx.event("malformed_data", to_client)
            return
        flags = data[2] << 8 | data[3]
        is_response = bool(flags & 0x8000)
        if is_response and not to_client:
            tx.event("not_request", to_client)
        elif not is_response and to_client:
            tx.event("not_response", to_client)
        if flags & 0x0040:
            tx.event("z_flag_set", to_client)
        opcode = flags >> 11 & 0xF
        if opcode >= 7:
            tx.event("invalid_opcode", to_client)
        tx.number_is("dns.opcode", to_client, opcode)
        if is_response:
            tx.number_is("dns.rcode", to_client, flags & 0xF)
        try:
            self._sections(tx, data, to_client, is_response)
        except Malformed:
            tx.event("malformed_data", to_client)

    def _sections(self, tx: Fields, data: bytes, to_client: bool, is_response: bool) -> None:
        at = 12
        left = MAX_RECORDS
        for number, section in enumerate(_SECTIONS):
            count = data[4 + 2 * number] << 8 | data[5 + 2 * number]
            for _ in range(min(count, left)):
                name, at = read_name(tx, data, at, to_client)
                if at + 4 > len(data):
                    raise Malformed
                kind = data[at] << 8 | data[at + 1]
                at += 4
                if number:
                    if at + 6 > len(data):
                        raise Malformed
                    length = data[at + 4] << 8 | data[at + 5]
                    at += 6 + length
                    if at > len(data):
                        raise Malformed
                self._record(tx, section, name, kind, to_client, is_response)
            left -= min(count, left)

    def _record(self, tx: Fields, section: str, name: bytes, kind: int, to_client: bool, is_response: bool) -> None:
        prefix = self.protocol
        if kind != 41:
            tx.add(f"{prefix}.{section}.rrname", to_client, name)
            if is_response:
                tx.add(f"{prefix}.response.rrname", to_client, name)
        if section == "queries":
            tx.number_is("dns.rrtype", to_client, kind)
            tx.add("dns.query.name", to_client, name)
            if not to_client:
                tx.add("dns.query", to_client, name)
        elif section == "answers":
            tx.number_is("dns.rrtype", to_client, kind)
            tx.add("dns.answer.name", to_client, name)


def read_name(tx: Fields | None, data: bytes, at: int, to_client: bool) -> tuple[bytes, int]:
    """Return the name at a position of a message, labels joined with dots, and where it ends; raises `Malformed`."""
    labels: list[bytes] = []
    behind = -1
    jumps = length = 0
    while True:
        if at >= len(data):
            raise Malformed
        size = data[at]
        if size == 0:
            at += 1
            break
        if size & 0xC0 == 0xC0:
            if at + 1 >= len(data):
                raise Malformed
            target = (size & 0x3F) << 8 | data[at + 1]
            if behind < 0:
                behind = at + 2
            jumps += 1
            if jumps > MAX_JUMPS or target == at:
                if tx is not None:
                    tx.event("infinite_loop", to_client)
                break
            at = target
            continue
        if size & 0xC0:
            raise Malformed
        if at + 1 + size > len(data):
            raise Malformed
        if len(labels) >= MAX_LABELS:
            if tx is not None:
                tx.event("too_many_labels", to_client)
            if behind < 0:
                raise Malformed
            break
        if length + size + 1 > MAX_NAME:
            if tx is not None:
                tx.event("name_too_long", to_client)
        else:
            labels.append(data[at + 1 : at + 1 + size])
        length += size + 1
        at += 1 + size
    return b".".join(labels), behind if behind >= 0 else at


class MdnsParser(DnsParser):
    """Reads multicast DNS."""

    protocol = "mdns"
