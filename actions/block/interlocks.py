"""Everything that must never be banned, in one place, each with its reason.

What cannot be told is named: a rule's ban is refused while own addresses, gateways or sessions are unknown; a person's is not.
"""

import ipaddress
import threading
from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from actions.block import sessions
from actions.block.address import Network, overlap
from actions.block.needs import mirrors, peers, resolvers
from actions.block.saved import Entry, Saved
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

T = TypeVar("T")

ALWAYS: tuple[tuple[str, str], ...] = (
    ("127.0.0.0/8", "it is this host's loopback"),
    ("::1", "it is this host's loopback"),
    ("0.0.0.0/8", "it stands for no address"),
    ("::", "it stands for no address"),
    ("169.254.0.0/16", "it is link-local"),
    ("fe80::/10", "it is link-local, and IPv6 does not work without"),
    ("224.0.0.0/4", "it is multicast, which sends nothing"),
    ("ff00::/8", "it is multicast, which sends nothing"),
    ("255.255.255.255", "it is the broadcast address, which sends nothing"),
)

MACHINE_S, STALE_S = 30.0, 10.0
"""What tools say of this machine is believed for so long; from then on it is asked anew after a ban, so that no ban waits for it."""
PEOPLE_S = 2.0
TRUST_S = 600.0
"""When the tools do not answer (a busy server), what they said last protects for so long; only then is it unknown."""


class Protected(Record):
    """One network that is never banned, and why."""

    network: str
    reason: str


class Needs(Record):
    """Everything protected at one time; `unknown` says what could not be told."""

    protected: tuple[Protected, ...] = ()
    unknown: tuple[str, ...] = ()


class Interlocks:
    """Remembers for seconds what protects whom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._machine: tuple[float, Needs] | None = None
        self._whole: tuple[float, Needs] | None = None
        self._people: tuple[float, Needs] | None = None
        self._parsed: dict[str, Network] = {}

    def why_not(
        self,
        host: ReadOnlyHost,
        network: Network,
        never: Mapping[str, str],
        saved: Saved,
        forgive_s: float,
        by_rule: bool,
    ) -> str:
        """Return why `network` must not be banned, "" when it may."""
        needs = self.needs(host, saved, forgive_s)
        for one in (*_always(), *_configured(never), *needs.protected, *_allowed(saved, host)):
            if overlap(network, self._network(one.network)):
                return one.reason if network.num_addresses == 1 else f"it holds {one.network}, and {one.reason}"
        if by_rule and needs.unknown:
            return f"it cannot be told whether this host needs it: {'; '.join(needs.unknown)}"
        return ""

    def needs(self, host: ReadOnlyHost, saved: Saved, forgive_s: float) -> Needs:
        """Return what protects whom now; asks the host where what is remembered is too old."""
        with self._lock:
            now = host.monotonic()
            if self._machine is None or now - self._machine[0] > MACHINE_S:
                self._machine = (now, self._asked(host))
            if self._people is None or now - self._people[0] > PEOPLE_S:
                self._people = (now, _people(host, saved, forgive_s))
            machine, people = self._machine[1], self._people[1]
        return Needs(protected=machine.protected + people.protected, unknown=machine.unknown + people.unknown)

    def refresh(self, host: ReadOnlyHost) -> None:
        """Ask the tools anew when what they said is no longer fresh; for after a ban."""
        with self._lock:
            is_fresh = self._machine is not None and host.monotonic() - self._machine[0] <= STALE_S
        if not is_fresh:
            found = (host.monotonic(), self._asked(host))
            with self._lock:
                self._machine = found

    def _asked(self, host: ReadOnlyHost) -> Needs:
        """Ask the tools; where one does not answer, its last answer goes on to protect for a while."""
        found, now = _machine(host), host.monotonic()
        if not found.unknown:
            self._whole = (now, found)
        elif self._whole is not None and now - self._whole[0] <= TRUST_S:
            return Needs(protected=found.protected + self._whole[1].protected)
        return found

    def _network(self, text: str) -> Network:
        if text not in self._parsed:
            if len(self._parsed) > 10_000:
                self._parsed.clear()
            self._parsed[text] = ipaddress.ip_network(text)
        return self._parsed[text]


def _always() -> Iterator[Protected]:
    for network, reason in ALWAYS:
        yield Protected(network=network, reason=reason)


def _configured(never: Mapping[str, str]) -> Iterator[Protected]:
    for word, reason in never.items():
        network = _literal(word)
        if network:
            yield Protected(network=network, reason=f"the configuration says never: {reason}")


def _allowed(saved: Saved, host: ReadOnlyHost) -> Iterator[Protected]:
    now_ms = int(host.now().timestamp() * 1000)
    for what, entries in (("allowed", saved.allowed), ("unbanned", saved.unbanned)):
        for network, entry in entries.items():
            if entry.lasts(now_ms):
                yield Protected(network=network, reason=_told(what, entry))


def _told(what: str, entry: Entry) -> str:
    if what == "allowed":
        return f"it is on the allowlist: {entry.reason or 'no reason given'} (owner {entry.owner or entry.who})"
    return f"{entry.who or 'somebody'} unbanned it, and that sticks for a while"


def _machine(host: ReadOnlyHost) -> Needs:
    protected: list[Protected] = []
    unknown: list[str] = []
    for find, what in ((_own, "its own addresses"), (_gateways, "its gateways")):
        try:
            protected += find(host)
        except (Unavailable, msgspec.DecodeError, UnicodeDecodeError) as error:
            unknown.append(f"{what}: {error}")
    protected += [Protected(network=one, reason="it is a resolver of this host") for one in resolvers(host)]
    protected += [Protected(network=one, reason=reason) for one, reason in peers(host)]
    protected += [Protected(network=one, reason="it is a package mirror of this host") for one in mirrors(host)]
    return Needs(protected=tuple(protected), unknown=tuple(unknown))


def _people(host: ReadOnlyHost, saved: Saved, forgive_s: float) -> Needs:
    try:
        found = sessions.trusted(host, saved.offences, forgive_s)
    except Unavailable as error:
        return Needs(unknown=(f"who is logged in: {error.message}",))
    return Needs(
        protected=tuple(
            Protected(network=one.address, reason=f"{one.user} is logged in from there over SSH{_besides(one.unknown)}")
            for one in found
        )
    )


def _besides(unknown: str) -> str:
    return f" ({unknown})" if unknown else ""


class _Link(msgspec.Struct):
    """What `ip -j addr` says of one link, as far as it matters."""

    addr_info: list[dict[str, object]] = []


class _Route(msgspec.Struct):
    """What `ip -j route` says of one route, as far as it matters."""

    gateway: str = ""
    via: dict[str, str] = {}
    nexthops: list[dict[str, object]] = []


def _own(host: ReadOnlyHost) -> list[Protected]:
    links = _asked(host, list[_Link], "ip", "-j", "addr", "show")
    words = (str(info.get("local", "")) for link in links for info in link.addr_info)
    return [Protected(network=word, reason="it is an address of this host") for word in words if _literal(word)]


def _gateways(host: ReadOnlyHost) -> list[Protected]:
    found: list[str] = []
    for version in ("-4", "-6"):
        for route in _asked(host, list[_Route], "ip", "-j", version, "route", "show", "table", "all"):
            found += [route.gateway, route.via.get("host", "")]
            found += [str(hop.get("gateway", "")) for hop in route.nexthops]
    reason = "it is a gateway of this host"
    return [Protected(network=one, reason=reason) for one in dict.fromkeys(found) if _literal(one)]


def _asked(host: ReadOnlyHost, kind: type[T], *argv: str) -> T:
    answer = host.commands.ask(*argv, timeout_s=5.0, max_bytes=8 << 20)
    if answer.code:
        said = answer.stderr.decode("utf-8", "replace").strip()[:200]
        raise Unavailable(Why.OTHER, f"{' '.join(argv)}: {said or f'exit code {answer.code}'}")
    return msgspec.json.decode(answer.stdout or b"[]", type=kind)


def _literal(word: str) -> str:
    """Return `word` if it is an address or network, else ""."""
    try:
        return str(ipaddress.ip_network(word.partition("%")[0], strict=False)) if word else ""
    except ValueError:
        return ""
