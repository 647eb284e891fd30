"""Generated names: a client that asks for many domains which do not exist and look as if a program had made them up."""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from math import log2

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.dns_tunnels import registered
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.options import DnsOptions
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import Change, Transaction

_NO_SUCH_NAME = 3
_MOST = 4096
_NAMES = 1024
_VOWELS = frozenset(b"aeiouy")
_DIGITS = frozenset(b"0123456789")


@dataclass(slots=True)
class _Client:
    began_ns: int
    missing: set[bytes] = field(default_factory=set)
    random: int = 0
    examples: list[str] = field(default_factory=list)


class DnsGenerated:
    """Domains that do not exist, by client, in bounded memory."""

    def __init__(self, options: DnsOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice
        self._clients: OrderedDict[tuple[int, int, int], _Client] = OrderedDict()
        self._window_ns = int(options.missing_window * 1e9)
        self.evicted = 0

    def take(self, change: Change, tx: Transaction, columns: Columns) -> None:
        """Take an answer."""
        if _NO_SUCH_NAME not in tx.integers("dns.rcode", True):
            return
        slot, time_ns = change.conversation.slot, change.time_ns
        key = (int(columns.family[slot]), int(columns.src_hi[slot]), int(columns.src_lo[slot]))
        client = self._clients.get(key)
        if client is None or time_ns - client.began_ns > self._window_ns:
            client = self._clients[key] = _Client(time_ns)
            if len(self._clients) > _MOST:
                self._clients.popitem(last=False)
                self.evicted += 1
        self._clients.move_to_end(key)
        for name in tx.buffers("dns.queries.rrname", True):
            domain = registered(name.lower())
            if (
                domain
                and not domain.endswith(b".arpa")
                and domain not in client.missing
                and len(client.missing) < _NAMES
            ):
                client.missing.add(domain)
                if looks_generated(domain.partition(b".")[0]):
                    client.random += 1
                    client.examples = [*client.examples[-4:], domain.decode("ascii", "backslashreplace")]
        options = self._options
        if client.random >= options.missing and client.random >= options.missing_share * len(client.missing):
            self._say(client, key, slot, columns, time_ns)

    def _say(self, client: _Client, key: tuple[int, int, int], slot: int, columns: Columns, time_ns: int) -> None:
        self._voice.say(
            Finding(
                kind=kinds.DGA,
                subject=endpoint(*key),
                sender=endpoint(*key),
                severity=kinds.DGA.severity,
                forgeable=int(columns.protocol[slot]) == 17,
                method=", ".join(client.examples),
                numbers={"generated_domains": float(client.random), "missing_domains": float(len(client.missing))},
                limits={"generated_domains": float(self._options.missing)},
                window_s=self._options.missing_window,
                first_ns=client.began_ns,
                last_ns=time_ns,
                protocol="dns",
                port=int(columns.dport[slot]),
                local=endpoint(*key),
            )
        )


def looks_generated(label: bytes) -> bool:
    """Return whether a label has what words have not: long runs of consonants, hardly a vowel, digits all over, or no letter twice."""
    if len(label) < 7 or label.startswith(b"xn--"):
        return False
    digits = sum(byte in _DIGITS for byte in label)
    letters = [byte for byte in label if 97 <= byte <= 122]
    if digits >= 3 and len(letters) >= 3:
        return True
    if not letters:
        return False
    vowels = sum(byte in _VOWELS for byte in letters)
    run = longest = 0
    for byte in label:
        run = run + 1 if 97 <= byte <= 122 and byte not in _VOWELS else 0
        longest = max(longest, run)
    entropy = -sum(count / len(label) * log2(count / len(label)) for count in Counter(label).values())
    return longest >= 5 or vowels < 0.2 * len(letters) or (len(label) >= 12 and entropy >= 3.45 and longest >= 4)
