"""The proof that a ban works: read back, reached, flows cut, drops counted; and if packets still get through, why."""

import ipaddress
import threading
from collections.abc import Callable, Sequence

from actions.block.address import Network, canonical
from actions.block.hook import Hook
from contracts.blocking import BANNED, LEAKED, TABLE, set_name
from contracts.errors import Unavailable
from contracts.host import Host, ReadOnlyHost
from contracts.netfilter import Cut, Departures, Flow, NoSuchSet
from contracts.record import Record

SETTLE_S = 0.2
"""Packets that were past our first chain when the ban came may take so long to our last one, or in a queue of a device."""
_NAMED = 5
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}


class Counts(Record):
    """What the kernel has counted of a source: packets that its element matched, and leaks."""

    matched: int = 0
    leaked: int = 0


class Receipt(Record):
    """What was seen of a ban. `causes` say why packets get through, or would; `not_checked` what could not be looked at."""

    read_back: bool = False
    flows_cut: int = 0
    sockets_closed: int = 0
    dropped: int = 0
    leaked: int = 0
    watched_s: float = 0.0
    causes: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.causes and not self.leaked


class Watch:
    """One ban under watch, from the moment its element is in the kernel."""

    def __init__(self, host: Host, network: Network, look: Callable[[Host], Hook]) -> None:
        """`look` says what is wrong with our table."""
        self._host, self._network, self._name, self._look = host, network, canonical(network), look
        self._not_checked: list[str] = []
        self._causes: list[str] = []
        self._before = counts(host, network)
        self.read_back = _is_in_kernel(host, network)
        self._cut: Cut = host.netfilter.cut(self._name)
        self._not_checked += self._cut.blind

    def over(self, seconds: float, enough: threading.Event) -> Receipt:
        """Watch for at most `seconds`, or until `enough` is set, and return what was seen."""
        started = self._host.monotonic()
        self._look_at_hook()
        departures = self._open_departures()
        try:
            enough.wait(min(SETTLE_S, seconds / 2))
            settled = departures.count() if departures is not None else 0
            leaked_before = counts(self._host, self._network).leaked
            enough.wait(max(0.0, seconds - (self._host.monotonic() - started)))
            departed = departures.count() - settled if departures is not None else 0
        finally:
            if departures is not None:
                departures.close()
        after = counts(self._host, self._network)
        leaked = max(0, after.leaked - leaked_before)
        let_past = max(leaked, after.leaked - self._before.leaked)
        self._explain(leaked, departed)
        return Receipt(
            read_back=self.read_back,
            flows_cut=self._cut.deleted,
            sockets_closed=self._cut.sockets,
            dropped=max(0, after.matched - self._before.matched - let_past),
            leaked=max(leaked, departed),
            watched_s=round(self._host.monotonic() - started, 3),
            causes=tuple(dict.fromkeys(self._causes)),
            not_checked=tuple(self._not_checked),
        )

    def _look_at_hook(self) -> None:
        try:
            found = self._look(self._host)
        except Unavailable as error:
            self._not_checked.append(f"whether our rules are reached ({error.message})")
            return
        self._causes += [f"{part} is missing" for part in found.missing]
        self._causes += found.shadows

    def _open_departures(self) -> Departures | None:
        try:
            return self._host.netfilter.departures(self._name)
        except Unavailable as error:
            self._not_checked.append(f"what leaves this host again ({error.message})")
            return None

    def _explain(self, leaked: int, departed: int) -> None:
        """Name why packets get through, as far as they do."""
        if not self.read_back:
            self._causes.append("the kernel does not hold the ban any more")
        kept = list(self._cut.kept)
        alive = self._alive()
        if kept:
            self._causes.append(
                f"{_flows(kept)} cannot be cut: {'a flowtable carries it' if _any_offloaded(kept) else 'the kernel keeps it'}"
            )
        elif _any_offloaded(alive):
            self._causes.append(f"a flowtable carries {_flows(alive)} past the hooks")
        elif alive:
            self._causes.append(f"{_flows(alive)} was begun anew after its flows were cut")
        if departed and not leaked:
            self._causes.append(f"{departed} packets left this host again past the hooks{_fast_paths(self._host)}")
        elif leaked and not self._causes:
            self._causes.append("an earlier rule or an established flow lets them past our rules")

    def _alive(self) -> list[Flow]:
        try:
            return self._host.netfilter.flows(self._name)
        except Unavailable as error:
            if not self._cut.blind:
                self._not_checked.append(f"whether flows came back ({error.message})")
            return []


def counts(host: ReadOnlyHost, network: Network) -> Counts:
    """Return what the kernel has counted of `network`; nothing where it holds no such element."""
    banned, leaked = set_name(BANNED, network.version), set_name(LEAKED, network.version)
    address = str(network.network_address)
    try:
        element = host.netfilter.element(TABLE, banned, address)
        if network.num_addresses == 1:
            leak = host.netfilter.element(TABLE, leaked, address)
            leaks = leak.packets if leak is not None else 0
        else:
            found = host.netfilter.elements(TABLE, leaked)
            leaks = sum(one.packets for one in found if ipaddress.ip_address(one.network) in network)
    except NoSuchSet:
        return Counts()
    return Counts(matched=element.packets if element is not None else 0, leaked=leaks)


def _is_in_kernel(host: ReadOnlyHost, network: Network) -> bool:
    """Say whether the kernel's set holds the network's first address and its last."""
    name = set_name(BANNED, network.version)
    edges = {str(network.network_address), str(network.broadcast_address)}
    try:
        return all(host.netfilter.element(TABLE, name, address) is not None for address in edges)
    except NoSuchSet:
        return False


def _any_offloaded(flows: Sequence[Flow]) -> bool:
    return any(flow.offloaded for flow in flows)


def _flows(flows: Sequence[Flow]) -> str:
    """Return flows in words, the first few by name."""
    shown = [
        f"{_PROTOCOLS.get(flow.protocol, flow.protocol)} {_place(flow.source, flow.source_port)} to {_place(flow.destination, flow.port)}"
        for flow in flows[:_NAMED]
    ]
    more = f" and {len(flows) - _NAMED} more" if len(flows) > _NAMED else ""
    return f"the flow {', '.join(shown)}{more}"


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _fast_paths(host: ReadOnlyHost) -> str:
    """Return what there is that carries packets past the hooks, as far as nft knows."""
    found: list[str] = []
    try:
        flowtables = host.commands.ask("nft", "list", "flowtables", timeout_s=5.0, max_bytes=1 << 20).stdout.decode(
            "utf-8", "replace"
        )
        netdev = host.commands.ask("nft", "-s", "-t", "list", "ruleset", "netdev", timeout_s=5.0, max_bytes=4 << 20)
    except Unavailable:
        return ", by a way that nft cannot tell"
    table = ""
    for raw in flowtables.splitlines():
        words = raw.split()
        if words[:1] == ["table"] and len(words) > 2:
            table = f"{words[1]} {words[2]}"
        elif words[:1] == ["flowtable"] and len(words) > 1:
            found.append(f"flowtable {words[1]} of table {table}")
    for raw in netdev.stdout.decode("utf-8", "replace").splitlines():
        if " fwd " in f" {raw.strip()} ":
            found.append(f"`{raw.strip()[:120]}` in a chain of family netdev")
    return f", carried by {'; '.join(found)}" if found else ", by a program (XDP, tc) or a bridge"
