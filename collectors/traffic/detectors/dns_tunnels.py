"""DNS that carries data: many different long names under one domain, asked by one client.

What counts is how much the names carry in front of the domain, in labels that were not there before: names that are merely many
(blocklists, content networks), merely long (one tracker), or that say much the same each time (an address in digits or nibbles, the name
of a region) stay below. Names under `arpa` are addresses.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.options import DnsOptions
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import Change, Transaction
from contracts.event import Severity

_MOST = 4096
_NAMES = 2048
_LEAST = 12
"""What is no longer than that in front of the domain carries nothing worth a look."""
_CARRIERS = frozenset((10, 16, 5, 15, 33, 65399))
"""Record types whose answers carry much: NULL, TXT, CNAME, MX, SRV, and iodine's private one."""


@dataclass(slots=True)
class _Talk:
    began_ns: int
    names: set[bytes] = field(default_factory=set)
    labels: set[tuple[int, bytes]] = field(default_factory=set)
    """Labels by their place in front of the domain: data changes them, an address of few digits soon says them again."""
    carried: int = 0
    asked: int = 0
    carriers: int = 0


class DnsTunnels:
    """Names by client and registered domain, in bounded memory."""

    def __init__(self, options: DnsOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice
        self._talks: OrderedDict[tuple[int, int, int, bytes], _Talk] = OrderedDict()
        self._window_ns = int(options.window * 1e9)
        self._lookups = frozenset(domain.lower().encode() for domain in options.lookups)
        self.evicted = 0

    def take(self, change: Change, tx: Transaction, columns: Columns) -> None:
        """Take a question."""
        for name in tx.buffers("dns.query", False):
            if len(name) > _LEAST:
                self._name(change, tx, columns, name.lower())

    def _name(self, change: Change, tx: Transaction, columns: Columns, name: bytes) -> None:
        domain = registered(name)
        if len(name) - len(domain) <= _LEAST or domain.endswith(b".arpa") or domain in self._lookups:
            return
        slot, time_ns = change.conversation.slot, change.time_ns
        client = (int(columns.family[slot]), int(columns.src_hi[slot]), int(columns.src_lo[slot]))
        key = (*client, domain)
        talk = self._talks.get(key)
        if talk is None or time_ns - talk.began_ns > self._window_ns:
            talk = self._talks[key] = _Talk(time_ns)
            if len(self._talks) > _MOST:
                self._talks.popitem(last=False)
                self.evicted += 1
        self._talks.move_to_end(key)
        talk.asked += 1
        if len(talk.names) >= _NAMES or name in talk.names:
            return
        talk.names.add(name)
        for label in enumerate(reversed(name[: -len(domain) - 1].split(b"."))):
            if label not in talk.labels:
                talk.carried += len(label[1]) + 1
                if len(talk.labels) < _NAMES:
                    talk.labels.add(label)
        talk.carriers += bool(_CARRIERS.intersection(tx.integers("dns.rrtype", False)))
        options, names = self._options, len(talk.names)
        if names >= options.names and talk.carried >= max(options.carried, options.length * names):
            self._say(talk, client, domain, slot, columns, time_ns)

    def _say(
        self, talk: _Talk, client: tuple[int, int, int], domain: bytes, slot: int, columns: Columns, time_ns: int
    ) -> None:
        names = len(talk.names)
        mean = talk.carried / names
        # Short names of ordinary types may be somebody's odd way to look things up.
        sure = talk.carriers * 2 >= names or mean >= 2 * self._options.length
        protocol = int(columns.protocol[slot])
        self._voice.say(
            Finding(
                kind=kinds.DNS_TUNNEL,
                subject=domain.decode("ascii", "backslashreplace"),
                sender=endpoint(*client),
                severity=kinds.DNS_TUNNEL.severity if sure else Severity.MEDIUM,
                forgeable=protocol == 17,
                method="dns",
                numbers={
                    "names": float(names),
                    "bytes_in_names": float(talk.carried),
                    "bytes_a_name": round(mean, 1),
                    "names_of_types_that_carry": float(talk.carriers),
                },
                limits={
                    "names": float(self._options.names),
                    "bytes_in_names": float(self._options.carried),
                    "bytes_a_name": float(self._options.length),
                },
                window_s=self._options.window,
                first_ns=talk.began_ns,
                last_ns=time_ns,
                protocol="dns",
                port=int(columns.dport[slot]),
            )
        )


def registered(name: bytes) -> bytes:
    """Return the domain that somebody registered, as far as the name's form says (`example.org`, `example.co.uk`); b"" for none."""
    last = name.rfind(b".")
    second = name.rfind(b".", 0, max(last, 0))
    if last < 0 or (second < 0 and last == 0):
        return b""
    if len(name) - last == 3 and last - second <= 4 and second > 0:
        second = name.rfind(b".", 0, second)
    return name[second + 1 :]
