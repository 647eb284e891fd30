"""What a detector found: who did what to which service, the numbers seen against their limits, and whether anyone could have forged it."""

from msgspec.structs import replace

from collectors.traffic.decode.table import address
from collectors.traffic.detectors.kinds import BLAMED, FLOOD, OF_RATES
from contracts.event import Event, Kind, Severity
from contracts.record import Record


class Finding(Record):
    """One detection.

    `subject` is the service or host that it is about (`192.0.2.1:22/tcp`, `192.0.2.1`); `sender` the address that did it, as its packets
    say ("" when there are many); `forgeable`: no completed handshake proves that address. `senders` are the others that may have. `numbers`
    are what was seen, by name, `limits` the limits of those that have one. `interface` is the source's number of it, filled in
    where the finding is taken. `rows` are the first of the sender's rows in the block's column table, valid until the next is decoded.
    """

    kind: Kind
    subject: str
    sender: str
    severity: Severity
    forgeable: bool
    method: str
    numbers: dict[str, float]
    limits: dict[str, float]
    window_s: float
    first_ns: int
    last_ns: int
    interface: int = -1
    senders: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    protocol: str = ""
    port: int = 0
    local: str = ""
    """The host's own side of it, where that is neither subject nor sender."""
    is_passed_on: bool = False
    """Whether the sender is a proxy: somebody behind it did it, and its address is not to be banned for that."""

    def passed_on(self) -> "Finding":
        """Return the finding as one of a proxy: rates, which are those of many together, are of low severity."""
        severity = min(self.severity, Severity.LOW) if self.kind.name in OF_RATES else self.severity
        return replace(self, is_passed_on=True, severity=severity)

    @property
    def key(self) -> str:
        """What the finding speaks of: who did it where that is proven, else whom or what it was done to."""
        if self.sender and not self.forgeable:
            return self.sender
        return f"{self.subject} {self.method}" if self.kind is FLOOD else self.subject

    def explanation(self) -> str:
        """Say the numbers in words, each with its limit: `143 ports (limit 20), 140 refused, in 60 s`."""
        parts = [
            f"{_number(seen)} {_noun(name, seen)}"
            + (f" (limit {_number(self.limits[name])})" if name in self.limits else "")
            for name, seen in self.numbers.items()
        ]
        whose = "; the sender is a proxy, which passes on what others ask" if self.is_passed_on else ""
        return ", ".join(parts) + (f", in {_number(self.window_s)} s" if self.window_s else "") + whose

    def event(self, interface: str = "", blocking: bool = False, repeats: int = 0) -> Event:
        """Return the finding as an event. `blocking`: who is proven to have done it is to be banned; `repeats` were held back before."""
        is_to_blame = self.kind.name in BLAMED and not self.forgeable and not self.is_passed_on
        offender = self.sender if is_to_blame else ""
        made = self.kind.event(
            self.key,
            severity=self.severity,
            observed_ms=self.last_ns // 1_000_000,
            subject=self.subject,
            source=self.sender,
            sources=list(self.senders),
            offender=offender,
            proven=not self.forgeable,
            blocking=blocking and bool(offender),
            forgeable=self.forgeable,
            method=self.method,
            explanation=self.explanation(),
            reason=f"{self.kind.name}: {self.explanation()}",
            numbers=[f"{name}={_number(seen)}" for name, seen in self.numbers.items()],
            limits=[f"{name}={_number(limit)}" for name, limit in self.limits.items()],
            window_s=float(self.window_s),
            interface=interface,
            protocol=self.protocol,
            port=self.port,
            local=self.local,
            began_ms=self.first_ns // 1_000_000,
        )
        return replace(made, repeats=repeats)


def endpoint(family: int, high: int, low: int, port: int = -1, protocol: int = 0) -> str:
    """Return an address, or a service as `address:port/protocol` when `port` is not negative."""
    text = address(family, high, low)
    if port < 0:
        return text
    host = f"[{text}]" if family == 6 else text
    return f"{host}:{port}/{NAMES.get(protocol, str(protocol))}"


NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
"""Protocols that have a name here."""


_SINGULAR = {
    f"{one}s": one
    for one in [
        "answer",
        "call",
        "change",
        "client",
        "connection",
        "domain",
        "flow",
        "host",
        "login",
        "name",
        "packet",
        "port",
        "request",
        "sender",
    ]
} | {"tries": "try"}


def _noun(name: str, count: float) -> str:
    """Return what a number counts in words: `failed logins`, or `failed login` where there is one."""
    words = name.split("_")
    if count == 1:
        counted = next((place for place, word in enumerate(words) if word in _SINGULAR), -1)
        words = [_SINGULAR[word] if place == counted else word for place, word in enumerate(words)]
    return " ".join(words)


def _number(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}"
